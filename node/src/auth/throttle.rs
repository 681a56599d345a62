//! Slows down who guesses: per account and per address, each for itself, with pauses that grow.

use std::{
    hash::Hash,
    net::IpAddr,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use actors::bucket::{Allowance, TokenBucket};
use lru::LruCache;
use parking_lot::Mutex;

/// Accounts and addresses that are remembered, each; who was seen least lately is forgotten.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(49_999);
/// Failures after which it is slowed: of an account, of an address (which many people may share).
const FREE_OF_ACCOUNT: u32 = 10;
const FREE_OF_ADDRESS: u32 = 100;
/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Accounts that may be made from one address a second, with bursts of so many seconds' worth.
const SIGN_UPS_PER_SECOND: u32 = 5;
const SIGN_UP_BURST_SECONDS: u32 = 60;
/// After so long without an attempt all is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);

/// Counts attempts. An attempt counts as failed from its beginning, until it is known to have succeeded: so that many at
/// once are no way around.
pub(crate) struct Throttle {
    accounts: Mutex<LruCache<String, Strikes>>,
    addresses: Mutex<LruCache<IpAddr, Strikes>>,
    /// Where an account was signed in to with success: who sits there is not kept out by those who guess elsewhere.
    proven: Mutex<LruCache<(String, IpAddr), ()>>,
    sign_ups: Mutex<LruCache<IpAddr, TokenBucket>>,
}

#[derive(Clone, Copy)]
struct Strikes {
    count: u32,
    last: Instant,
    next_at: Instant,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self {
            accounts: Mutex::new(LruCache::new(REMEMBERED)),
            addresses: Mutex::new(LruCache::new(REMEMBERED)),
            proven: Mutex::new(LruCache::new(REMEMBERED)),
            sign_ups: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }

    /// Begins an attempt on the account whose name has this key.
    ///
    /// # Errors
    /// When it comes too soon. It then costs nothing.
    pub(crate) fn begin(&self, account: &str, address: IpAddr, now: Instant) -> Result<Allowance, Allowance> {
        let proven = self.proven.lock().get(&(account.to_owned(), address)).is_some();
        let mut accounts = self.accounts.lock();
        let mut addresses = self.addresses.lock();
        let of_account = entry(&mut accounts, account.to_owned(), now);
        if !proven {
            of_account.check(FREE_OF_ACCOUNT, now)?;
        }
        let of_address = entry(&mut addresses, address, now);
        of_address.check(FREE_OF_ADDRESS, now)?;
        of_address.strike(FREE_OF_ADDRESS, now);
        if !proven {
            of_account.strike(FREE_OF_ACCOUNT, now);
        }
        Ok(of_account.allowance(FREE_OF_ACCOUNT, now))
    }

    /// Takes a sign-up: each costs a hash, and nobody may use up the cores. With it comes what is left for the address.
    ///
    /// # Errors
    /// The first is the time until the next one is allowed, where none was left.
    pub(crate) fn take_sign_up(
        &self,
        address: IpAddr,
        now: Instant,
    ) -> (Result<(), Duration>, Option<Allowance>) {
        let mut sign_ups = self.sign_ups.lock();
        let fresh = || TokenBucket::new(SIGN_UPS_PER_SECOND, SIGN_UP_BURST_SECONDS, now);
        let bucket = sign_ups.get_or_insert_mut(address, fresh);
        (bucket.take(now), bucket.allowance(now))
    }

    /// The attempt succeeded.
    pub(crate) fn succeeded(&self, account: &str, address: IpAddr, now: Instant) {
        self.proven.lock().put((account.to_owned(), address), ());
        self.accounts.lock().pop(account);
        self.take_back(address, now);
    }

    /// The attempt was not made: neither a success nor a failure.
    pub(crate) fn not_made(&self, account: &str, address: IpAddr, now: Instant) {
        if !self.proven.lock().contains(&(account.to_owned(), address)) {
            entry(&mut self.accounts.lock(), account.to_owned(), now).take_back(now);
        }
        self.take_back(address, now);
    }

    fn take_back(&self, address: IpAddr, now: Instant) {
        entry(&mut self.addresses.lock(), address, now).take_back(now);
    }
}

fn entry<K: Hash + Eq>(book: &mut LruCache<K, Strikes>, key: K, now: Instant) -> &mut Strikes {
    book.get_or_insert_mut(key, || Strikes {
        count: 0,
        last: now,
        next_at: now,
    })
}

impl Strikes {
    fn check(&mut self, free: u32, now: Instant) -> Result<(), Allowance> {
        if now >= self.last + FORGET_AFTER {
            self.count = 0;
        }
        if now < self.next_at {
            return Err(self.allowance(free, now));
        }
        Ok(())
    }

    fn strike(&mut self, free: u32, now: Instant) {
        self.last = now;
        self.count = self.count.saturating_add(1);
        if self.count >= free {
            let doublings = (self.count - free).min(16);
            self.next_at = now + (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE);
        }
    }

    fn take_back(&mut self, now: Instant) {
        self.count = self.count.saturating_sub(1);
        self.next_at = now;
    }

    fn allowance(&self, free: u32, now: Instant) -> Allowance {
        let waits = now < self.next_at;
        Allowance {
            limit: free,
            remaining: if waits {
                0
            } else {
                free.saturating_sub(self.count).max(1)
            },
            reset: if waits {
                self.next_at - now
            } else {
                (self.last + FORGET_AFTER).saturating_duration_since(now)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_account_is_slowed_and_others_are_not() {
        let throttle = Throttle::new();
        let start = Instant::now();
        let at_once = (0..2_000)
            .filter(|_| throttle.begin("ada", address(1), start).is_ok())
            .count();
        assert_eq!(at_once, 10);
        let refused = throttle.begin("ada", address(2), start).unwrap_err();
        assert_eq!(
            (refused.remaining, refused.reset),
            (0, FIRST_PAUSE),
            "from anywhere"
        );
        assert!(
            throttle.begin("bob", address(1), start).is_ok(),
            "refused attempts cost the address nothing"
        );
        let mut now = start;
        let mut made = 0;
        while now < start + Duration::from_secs(3_600) {
            now += Duration::from_secs(1);
            made += usize::from(throttle.begin("ada", address(1), now).is_ok());
        }
        assert!((50..80).contains(&made), "{made} guesses in an hour");
    }

    #[test]
    fn an_address_that_tries_many_names_is_slowed() {
        let throttle = Throttle::new();
        let now = Instant::now();
        let made = (0..2_000)
            .filter(|n| throttle.begin(&format!("u{n}"), address(1), now).is_ok())
            .count();
        assert_eq!(made, 100);
        assert!(throttle.begin("u1999", address(2), now).is_ok());
    }

    #[test]
    fn who_succeeds_is_not_slowed_and_not_kept_out_by_others() {
        let throttle = Throttle::new();
        let now = Instant::now();
        for _ in 0..2_000 {
            throttle.begin("ada", address(1), now).unwrap();
            throttle.succeeded("ada", address(1), now);
        }
        while throttle.begin("ada", address(2), now).is_ok() {}
        assert!(
            throttle.begin("ada", address(1), now).is_ok(),
            "known from before"
        );
        assert!(throttle.begin("ada", address(3), now).is_err());
    }

    #[test]
    fn one_address_cannot_make_accounts_without_end() {
        let throttle = Throttle::new();
        let now = Instant::now();
        let made = (0..1_000).filter(|_| throttle.take_sign_up(address(1), now).0.is_ok());
        assert_eq!(made.count(), 300);
        assert!(throttle.take_sign_up(address(2), now).0.is_ok());
    }

    #[test]
    fn all_is_forgotten_in_time() {
        let throttle = Throttle::new();
        let now = Instant::now();
        while throttle.begin("ada", address(1), now).is_ok() {}
        let later = now + FORGET_AFTER;
        assert_eq!(
            (0..20)
                .filter(|_| throttle.begin("ada", address(1), later).is_ok())
                .count(),
            10
        );
    }
}
