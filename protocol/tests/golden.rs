//! What every frame looks like on the wire, byte for byte, in both codecs.
//!
//! `golden/<who>/<frame>.json` is the JSON text, `.hex` the MessagePack bytes as a hex dump. After a change of the wire
//! that is meant, write them anew and look at the difference:
//!
//! ```sh
//! UPDATE_GOLDEN=1 cargo test -p protocol --test golden
//! ```
//!
//! The same frames are the seeds of the fuzz targets, in `fuzz/seeds/`, and are written and compared with them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod samples;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Debug, Write as _},
    fs,
    path::{Path, PathBuf},
};

use protocol::{ClientFrame, Codec, Command, NodeFrame, ServerFrame, client, fields::Fields};
use serde::Serialize;

#[test]
fn client_frames() {
    check("client", &samples::client(), |codec, bytes| {
        let fields = Fields::decode(codec, bytes).unwrap();
        ClientFrame {
            id: client::frame_id(&fields).unwrap(),
            command: Command::from_fields(&fields).unwrap(),
        }
    });
}

#[test]
fn server_frames() {
    check("server", &samples::server(), |codec, bytes| {
        codec.decode::<ServerFrame>(bytes).unwrap()
    });
}

#[test]
fn node_frames() {
    check("node", &samples::node(), |codec, bytes| match codec {
        Codec::Json => codec.decode(bytes).unwrap(),
        Codec::Msgpack => NodeFrame::decode(bytes).unwrap(),
    });
}

#[test]
fn fuzz_seeds() {
    let client = samples::client();
    for codec in Codec::ALL {
        let seeds = seeds(&client, &[codec]);
        check_seeds(&format!("client_{}", name(codec)), &seeds);
    }
    check_seeds("server_frame", &seeds(&samples::server(), &Codec::ALL));
    check_seeds("node_frame", &seeds(&samples::node(), &[Codec::Msgpack]));
}

#[test]
fn every_command_has_a_sample() {
    let samples: BTreeSet<_> = samples::client().iter().map(|(_, f)| f.command.op()).collect();
    assert_eq!(samples, BTreeSet::from(client::CLIENT_OPS));
}

/// Compares each sample with its files, in both directions, and the files in the folder with the samples.
fn check<T>(who: &str, samples: &[(String, T)], decode: impl Fn(Codec, &[u8]) -> T)
where
    T: Serialize + PartialEq + Debug,
{
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(who);
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
    }
    let mut expected_files = BTreeSet::new();
    let mut differences = String::new();
    for (name, sample) in samples {
        for codec in Codec::ALL {
            let file = folder.join(format!("{name}.{}", extension(codec)));
            let encoded = codec.encode(sample).unwrap();
            let shown = show(codec, &encoded);
            if update {
                fs::write(&file, &shown).unwrap();
            }
            let golden = fs::read_to_string(&file).unwrap_or_default();
            if golden != shown {
                let _ = write!(
                    differences,
                    "{}\n--- golden\n{golden}+++ encoded\n{shown}\n",
                    file.display()
                );
            } else {
                assert_eq!(&decode(codec, &encoded), sample, "{}", file.display());
            }
            expected_files.insert(file);
        }
    }
    assert!(
        differences.is_empty(),
        "the wire differs from the golden files:\n{differences}"
    );
    let files: BTreeSet<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    assert_eq!(files, expected_files, "golden files without a sample");
}

type Seeds = BTreeMap<String, Vec<u8>>;

fn seeds<T: Serialize>(samples: &[(String, T)], codecs: &[Codec]) -> Seeds {
    let encode = |(sample, frame): &(String, T), codec: Codec| {
        (format!("{sample}.{}", name(codec)), codec.encode(frame).unwrap())
    };
    codecs
        .iter()
        .flat_map(|codec| samples.iter().map(|sample| encode(sample, *codec)))
        .collect()
}

fn check_seeds(target: &str, seeds: &Seeds) {
    let folder = crate_folder("fuzz/seeds").join(target);
    if updating(&folder) {
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let files: Seeds = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| {
            (
                file.file_name().into_string().unwrap(),
                fs::read(file.path()).unwrap(),
            )
        })
        .collect();
    assert!(
        &files == seeds,
        "{} is not what the samples are",
        folder.display()
    );
}

fn crate_folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether files are to be written; then `folder` is emptied.
fn updating(folder: &Path) -> bool {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
    }
    update
}

fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::Json => "json",
        Codec::Msgpack => "msgpack",
    }
}

fn extension(codec: Codec) -> &'static str {
    match codec {
        Codec::Json => "json",
        Codec::Msgpack => "hex",
    }
}

/// JSON as it is, MessagePack as 16 bytes a line with what is printable of them.
fn show(codec: Codec, bytes: &[u8]) -> String {
    if codec == Codec::Json {
        return format!("{}\n", std::str::from_utf8(bytes).unwrap());
    }
    let mut shown = String::new();
    for line in bytes.chunks(16) {
        let hex: Vec<String> = line.iter().map(|b| format!("{b:02x}")).collect();
        let text: String = line
            .iter()
            .map(|b| {
                if (0x20..0x7f).contains(b) {
                    char::from(*b)
                } else {
                    '.'
                }
            })
            .collect();
        let _ = writeln!(shown, "{:<47}  # {text}", hex.join(" "));
    }
    shown
}
