//! What every [`Accounts`] must do, as one named case for each promise of the port.
//!
//! `actors::accounts_conformance!(open)` makes a test of each case. `open` is an async function without arguments that
//! returns a guard, kept until the case is over, and [`Nodes`] on a store without accounts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a suite of tests: it reports by panicking"
)]

use std::sync::Arc;

use crate::ports::Accounts;

pub mod bans;
pub mod credentials;
pub mod feed;
pub mod names;
pub mod record;
mod script;

/// One store as two nodes see it: each has its own connections to the same data.
#[derive(Clone)]
pub struct Nodes {
    /// The first node's.
    pub a: Arc<dyn Accounts>,
    /// The second node's.
    pub b: Arc<dyn Accounts>,
}

/// Makes a test of each case; see [`mod@crate::conformance::accounts`].
#[macro_export]
macro_rules! accounts_conformance {
    ($open:path) => {
        async fn open_nodes() -> (impl Sized, $crate::conformance::accounts::Nodes) {
            $open().await
        }

        $crate::accounts_conformance!(@tests
            names {
                an_account_comes_back_as_it_was_made
                a_name_is_given_once
                concurrent_nodes_give_a_name_once
                any_of_the_keys_makes_a_name_taken
                a_rename_frees_the_old_name
                accounts_come_in_the_order_of_their_keys
                every_character_comes_back
            }
            credentials {
                a_credential_is_found_by_its_hash_and_kind
                an_expired_credential_is_none
                a_credential_ends_once_and_only_for_its_owner
                all_other_sessions_end
                another_password_ends_the_other_sessions
                the_session_unused_for_longest_makes_room
                use_is_recorded
                the_living_are_told_from_the_dead
            }
            bans {
                a_ban_is_in_force_until_its_end
                a_ban_can_be_changed_and_ended
                bans_come_in_pages
            }
            feed {
                every_loss_is_a_change
                versions_have_no_hole_under_concurrent_changes
                what_changes_nothing_is_no_change
                a_version_from_another_history_is_lost
            }
            record {
                the_record_is_read_backwards
                a_refused_act_leaves_no_entry
            }
        );
    };
    (@tests $($group:ident { $($case:ident)* })*) => {$(
        mod $group {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let (_guard, nodes) = super::open_nodes().await;
                    $crate::conformance::accounts::$group::$case(nodes).await;
                }
            )*
        }
    )*};
}
