//! A node reads another node's frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::NodeFrame;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = NodeFrame::decode(bytes) {
        let again = frame.encode().expect("a frame that can be written");
        assert_eq!(NodeFrame::decode(&again), Ok(frame));
    }
});
