//! Free ports for private servers, which somebody else may be faster to take.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

/// A server is tried on so many ports.
const ATTEMPTS: u32 = 5;

/// A port of 127.0.0.1 that nobody listens on at this moment.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// How often a server found its port taken, though it had been free when it was chosen.
#[derive(Debug, Default)]
pub(super) struct Overtaken(u32);

impl Overtaken {
    /// Counts a server that did not start, if it should be tried on another port.
    ///
    /// # Errors
    /// What kept the server from starting, if that is not its port, or the last port was not free either.
    pub(super) fn again(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        self.0 += 1;
        if self.0 < ATTEMPTS && format!("{error:#}").contains("Address already in use") {
            return Ok(());
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn only_a_port_that_was_taken_is_worth_another_try() {
        let taken = || anyhow!("bind: Address already in use").context("it did not start");
        let mut overtaken = Overtaken::default();
        for _ in 1..ATTEMPTS {
            overtaken.again(taken()).unwrap();
        }
        assert!(overtaken.again(taken()).is_err(), "that was the last one");
        let other = Overtaken::default().again(anyhow!("it is not installed"));
        assert_eq!(other.unwrap_err().to_string(), "it is not installed");
    }
}
