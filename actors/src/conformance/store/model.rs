//! Random histories, compared with the store in memory.

use std::sync::Arc;

use protocol::{Event, EventBody, client::PageBound};

use super::{Nodes, script::*};
use crate::{
    memory::MemoryStore,
    ports::{Append, Outcome, PageRequest, Store},
};

/// Random batches have the same outcomes, and leave the same log, as they do in memory.
pub async fn random_histories_agree_with_the_model(nodes: Nodes) {
    let mut rng = chance();
    let model: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut pens = Vec::new();
    for name in ["one", "two"] {
        make_room(&model, name).await;
        let (ann, bob) = room_with_two(&nodes, name).await;
        pens.extend([ann, bob]);
    }
    pens.push(Pen::new(&room_name("nowhere"), "ann"));
    for round in 0..60 {
        let store = if round % 2 == 0 { &nodes.a } else { &nodes.b };
        let size = rng.usize(1..=12);
        let batch: Vec<_> = (0..size).map(|_| random_entry(&mut rng, &pens)).collect();
        let real: Vec<_> = append(store, &batch)
            .await
            .into_iter()
            .map(without_time)
            .collect();
        let ideal: Vec<_> = append(&model, &batch)
            .await
            .into_iter()
            .map(without_time)
            .collect();
        assert_eq!(real, ideal, "round {round}: {batch:#?}");
    }
    for pen in &pens {
        compare_logs(&mut rng, &nodes.b, &model, pen).await;
    }
}

async fn compare_logs(rng: &mut fastrand::Rng, real: &Arc<dyn Store>, model: &Arc<dyn Store>, pen: &Pen) {
    for _ in 0..20 {
        let seq = rng.u64(0..150);
        let request = PageRequest {
            bound: *rng
                .choice(&[PageBound::Newest, PageBound::Before(seq), PageBound::After(seq)])
                .unwrap(),
            limit: rng.u64(1..200),
            max_bytes: rng.usize(0..4000),
        };
        let mut real = real.page(&pen.room, request).await.unwrap();
        let mut ideal = model.page(&pen.room, request).await.unwrap();
        real.events.iter_mut().for_each(forget_time);
        ideal.events.iter_mut().for_each(forget_time);
        assert_eq!(real, ideal, "{request:?}");
    }
}

fn random_entry(rng: &mut fastrand::Rng, pens: &[Pen]) -> Append {
    let pen = rng.choice(pens).unwrap();
    let cid = if rng.u8(..) < 20 {
        String::new()
    } else {
        rng.u32(0..400).to_string()
    };
    let target = rng.u64(0..60);
    let text = "text ".repeat(rng.usize(1..10));
    let on = rng.bool();
    match rng.u8(0..8) {
        0..=2 => pen.message(&cid, &text),
        3 => pen.reply(&cid, target),
        4 => pen.edit(&cid, target, &text),
        5 if rng.bool() => pen.delete(&cid, target),
        5 => pen.delete_any(&cid, target),
        _ => pen.react(&cid, target, rng.choice(["👍", "🦀"]).unwrap(), on),
    }
}

fn without_time(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Written { seq, .. } => Outcome::Written { seq, at: 0 },
        Outcome::Known { seq, .. } => Outcome::Known { seq, at: 0 },
        refused => refused,
    }
}

fn forget_time(event: &mut Event) {
    event.at = 0;
    if let EventBody::Message {
        edited_at: Some(at), ..
    } = &mut event.body
    {
        *at = 0;
    }
}
