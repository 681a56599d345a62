//! A client reads a node's frame, in both codecs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{Codec, ServerFrame};

fuzz_target!(|bytes: &[u8]| {
    for codec in Codec::ALL {
        if let Ok(frame) = codec.decode::<ServerFrame>(bytes) {
            let again = codec.encode(&frame).expect("a frame that can be written");
            let reread: ServerFrame = codec.decode(&again).expect("a frame that can be read again");
            assert_eq!(reread, frame);
        }
    }
});
