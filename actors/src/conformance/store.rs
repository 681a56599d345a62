//! What every [`Store`] must do, as one named case for each promise of the port.
//!
//! `actors::store_conformance!(open)` makes a test of each case. `open` is an async function without arguments that
//! returns a guard, kept until the case is over, and [`Nodes`] on a store without rooms.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a suite of tests: it reports by panicking, and prints the seed of random cases"
)]

use std::sync::Arc;

use crate::ports::Store;

pub mod cancel;
pub mod changes;
pub mod loading;
pub mod model;
pub mod order;
pub mod pages;
pub mod reactions;
pub mod repeats;
pub mod rights;
pub mod rooms;
mod script;
pub mod service;

/// One store as two nodes see it: each has its own connections to the same data.
#[derive(Clone)]
pub struct Nodes {
    /// The first node's.
    pub a: Arc<dyn Store>,
    /// The second node's.
    pub b: Arc<dyn Store>,
}

/// Makes a test of each case; see [`mod@crate::conformance::store`].
#[macro_export]
macro_rules! store_conformance {
    ($open:path) => {
        async fn open_nodes() -> (impl Sized, $crate::conformance::store::Nodes) {
            $open().await
        }

        $crate::store_conformance!(@tests
            order {
                numbers_have_no_hole_under_concurrent_appends
                a_batch_may_hold_several_rooms
                batches_over_the_same_rooms_do_not_deadlock
                time_never_goes_back_along_the_numbers
                refused_entries_leave_no_hole
                an_empty_batch_is_nothing
            }
            repeats {
                a_cid_is_known_later_and_on_another_node
                a_cid_is_known_within_a_batch
                a_cid_is_written_once_by_concurrent_nodes
                a_cid_belongs_to_its_room_and_author
                a_known_cid_wins_whatever_else_the_entry_says
                entries_without_cid_are_all_written
            }
            changes {
                replies_need_a_message_of_the_room
                an_edit_replaces_the_text
                an_edit_is_refused_where_it_must_be
                a_delete_takes_the_text_away
                a_delete_is_refused_where_it_must_be
                a_second_delete_is_known
                dependent_changes_stand_in_one_batch
                a_room_that_does_not_exist_refuses_everything
                members_and_rooms_are_recorded_as_they_are
                every_character_comes_back
            }
            reactions {
                a_reaction_that_is_so_already_is_known
                withdrawing_what_never_was_is_not_found
                a_reaction_needs_a_living_message
                the_cid_of_a_known_reaction_is_not_kept
                reactions_of_one_batch_see_each_other
            }
            pages {
                pages_go_in_both_directions
                a_page_ends_at_its_bytes
                a_page_counts_bytes_as_the_event_does
                a_page_of_nothing_is_empty
            }
            loading {
                rooms_are_loaded_in_the_order_asked_for
                a_loaded_room_is_what_it_is_read_alone
                many_rooms_are_loaded_each_with_its_own
            }
            rooms {
                a_room_is_made_once
                many_rooms_are_made_at_once
                concurrent_nodes_make_each_room_once
                rooms_come_in_the_order_of_their_names
                heads_come_in_the_order_asked_for
                a_record_follows_its_head
            }
            rights {
                members_and_rights_follow_the_log
                a_room_begins_with_its_members
                rooms_are_listed_to_who_can_see_them
                a_search_knows_every_letters_case
                authors_are_known_by_their_last_name
                invite_links_count_and_end
            }
            service {
                read_marks_never_go_back
                read_marks_of_absent_rooms_are_skipped
                keys_are_shared_and_differ_by_name
                an_epoch_lasts_until_a_new_one_begins
                the_clock_is_in_unix_milliseconds
            }
            cancel {
                a_cancelled_append_can_be_repeated
                cancelled_calls_leave_the_store_usable
            }
            model {
                random_histories_agree_with_the_model
            }
        );
    };
    (@tests $($group:ident { $($case:ident)* })*) => {$(
        mod $group {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let (_guard, nodes) = super::open_nodes().await;
                    $crate::conformance::store::$group::$case(nodes).await;
                }
            )*
        }
    )*};
}
