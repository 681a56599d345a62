use super::{CodecChoice, Report, SmokeArgs, smoke};
use crate::client::tiny_server::{self, Fault};

async fn try_with(fault: Fault, rooms: u32) -> Report {
    let address = tiny_server::start(fault).await;
    let args = SmokeArgs {
        targets: vec![
            format!("ws://{address}/ws"),
            format!("ws://localhost:{}/ws", address.port()),
        ],
        connections: 12,
        messages: 60,
        rooms,
        rate: 600,
        codec: CodecChoice::Both,
        timeout_seconds: 1,
    };
    smoke(&args).await.unwrap()
}

#[tokio::test]
async fn an_honest_server_passes() {
    for rooms in [1, 3] {
        let report = try_with(Fault::None, rooms).await;
        assert!(report.passed(), "{report}");
        assert_eq!(report.deliveries, 60 * 12 / rooms as usize);
        assert!(report.to_string().contains("passed"), "{report}");
        for latency in [report.ack, report.delivery] {
            assert!(!latency.p50.is_zero() && latency.p50 <= latency.p99, "{report}");
            assert!(latency.p99 <= latency.max, "{report}");
        }
    }
}

#[tokio::test]
async fn every_broken_promise_is_noticed() {
    let faults = [
        (Fault::Lose, "the next event is"),
        (Fault::Repeat, "the next event is"),
        (Fault::RepeatLast, "the next event is 61"),
        (Fault::WrongAck, "was answered with"),
        (Fault::Garble, "is not what was sent"),
        (Fault::Hangup, "1011 internal error"),
    ];
    for (fault, expected) in faults {
        let report = try_with(fault, 1).await;
        assert!(!report.passed(), "{fault:?}: {report}");
        assert!(
            report.violations.iter().any(|v| v.contains(expected)),
            "{fault:?}: {report}"
        );
    }
}
