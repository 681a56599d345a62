//! Panics inside the actors are caught by their supervisors. Those that the simulation did not order are violations.

use std::{cell::RefCell, panic, sync::Once};

use crate::store::ORDERED;

thread_local! {
    static SEEN: RefCell<Option<String>> = const { RefCell::new(None) };
    static SIMULATES: RefCell<bool> = const { RefCell::new(false) };
}

/// From now on panics of this thread are kept for [`take`] instead of printed.
pub(crate) fn catch() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !SIMULATES.with_borrow(|simulates| *simulates) {
                usual(info);
            } else if !info.to_string().contains(ORDERED) {
                SEEN.with_borrow_mut(|seen| seen.get_or_insert_with(|| info.to_string()).truncate(2_000));
            }
        }));
    });
    SIMULATES.set(true);
}

/// From now on panics of this thread are printed.
pub(crate) fn release() {
    SIMULATES.set(false);
}

pub(crate) fn seen() -> bool {
    SEEN.with_borrow(Option::is_some)
}

pub(crate) fn take() -> Option<String> {
    SEEN.take()
}
