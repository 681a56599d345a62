//! Reactions.

use super::{Nodes, script::*};

/// Giving what is given, and withdrawing what is withdrawn, is answered with what made it so.
pub async fn a_reaction_that_is_so_already_is_known(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    write(&nodes.a, ann.message("1", "hello")).await;
    let given = write(&nodes.a, bob.react("1", 1, "👍", true)).await;
    assert_eq!(
        append_one(&nodes.b, bob.react("2", 1, "👍", true)).await,
        known(given)
    );
    let withdrawn = write(&nodes.b, bob.react("3", 1, "👍", false)).await;
    assert_eq!(
        append_one(&nodes.a, bob.react("4", 1, "👍", false)).await,
        known(withdrawn)
    );
    let again = write(&nodes.a, bob.react("5", 1, "👍", true)).await;
    assert_eq!((given.0, withdrawn.0, again.0), (2, 3, 4));
    let log = log(&nodes.a, &ann.room).await;
    for (seq, cid, on) in [(2, "1", true), (3, "3", false), (4, "5", true)] {
        let entry = bob.react(cid, 1, "👍", on);
        assert_eq!(*event_at(&log, seq), entry.to_event(seq, event_at(&log, seq).at));
    }
}

/// One cannot withdraw what was never given, be it by oneself, with this emoji, or on this message.
pub async fn withdrawing_what_never_was_is_not_found(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    write(&nodes.a, ann.message("1", "hello")).await;
    write(&nodes.a, ann.message("2", "hello")).await;
    write(&nodes.a, bob.react("1", 1, "👍", true)).await;
    let batch = [
        ann.react("3", 1, "👍", false),
        bob.react("2", 1, "👍🏽", false),
        bob.react("3", 2, "👍", false),
    ];
    assert_eq!(append(&nodes.b, &batch).await, [NOT_FOUND; 3]);
}

/// A reaction needs a message of this room that is not deleted.
pub async fn a_reaction_needs_a_living_message(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    write(&nodes.a, ann.message("1", "hello")).await;
    let (reaction, _) = write(&nodes.a, bob.react("1", 1, "👍", true)).await;
    for no_message in [0, reaction, 3, u64::MAX] {
        let outcome = append_one(&nodes.a, bob.react("2", no_message, "👍", true)).await;
        assert_eq!(outcome, NOT_FOUND, "{no_message}");
    }
    write(&nodes.a, ann.delete("2", 1)).await;
    for on in [true, false] {
        assert_eq!(append_one(&nodes.a, bob.react("3", 1, "👍", on)).await, NOT_FOUND);
    }
}

/// The `cid` of a reaction that was known is free.
pub async fn the_cid_of_a_known_reaction_is_not_kept(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    write(&nodes.a, ann.message("1", "hello")).await;
    let given = write(&nodes.a, bob.react("1", 1, "👍", true)).await;
    assert_eq!(
        append_one(&nodes.a, bob.react("2", 1, "👍", true)).await,
        known(given)
    );
    assert_eq!(write(&nodes.a, bob.message("2", "with that cid")).await.0, 3);
}

/// On, off and on within a batch are three events; a repetition is none.
pub async fn reactions_of_one_batch_see_each_other(nodes: Nodes) {
    let (ann, bob) = room_with_two(&nodes, "room").await;
    let batch = [
        ann.message("1", "hello"),
        bob.react("1", 1, "🦀", true),
        bob.react("2", 1, "🦀", true),
        bob.react("3", 1, "🦀", false),
        bob.react("4", 1, "🦀", true),
        ann.react("2", 1, "🦀", true),
        bob.react("5", 1, "🦀", true),
    ];
    let outcomes = append(&nodes.a, &batch).await;
    assert_eq!(outcomes[2], known(written(outcomes[1])));
    assert_eq!(outcomes[6], known(written(outcomes[4])));
    let seqs: Vec<_> = [0, 1, 3, 4, 5].map(|n| written(outcomes[n]).0).to_vec();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
}
