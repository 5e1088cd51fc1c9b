//! From the wire into a file, and from a file onto the wire.

use proptest::prelude::*;

use super::super::content::tests::{model, octets, pieces};
use super::super::deliver::Delivery;
use super::super::deliver::tests::{files, flags, origin};
use super::super::name;
use super::super::store::tests::folder;
use super::*;
use crate::mail::{Digest, FileId};

#[test]
fn a_file_that_shrinks_while_it_is_sent_fails() {
    let (_temp, folder, path) = folder();
    std::fs::write(path.join("cur/a:2,"), vec![b'\n'; 3 * CHUNK]).unwrap();
    let mut outgoing = folder.open_message(&FileId::new("a")).unwrap();
    assert_eq!(outgoing.size(), 6 * CHUNK as u64);
    let mut some = [0; 10];
    outgoing.read_exact(&mut some).unwrap();
    std::fs::OpenOptions::new().write(true).open(path.join("cur/a:2,")).unwrap().set_len(CHUNK as u64).unwrap();
    assert!(outgoing.read_to_end(&mut Vec::new()).is_err());
    assert!(folder.open_message(&FileId::new("gone")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn wire_to_file_to_wire(wire in octets(), cuts in prop::collection::vec(any::<usize>(), 0..5)) {
        let (_temp, folder, path) = folder();
        let mut incoming = folder.incoming().unwrap();
        for piece in pieces(&wire, &cuts) {
            incoming.write(piece).unwrap();
        }
        let received = incoming.finish().unwrap();
        let content = received.content;
        let (local, back) = model(&wire);
        let (flags, internal_date) = (flags(&["\\Seen"]), UnixSeconds(-1));
        let delivery = Delivery { received, origin: origin(9), flags, internal_date };
        let file = folder.deliver(vec![delivery]).remove(0).unwrap().file;
        prop_assert_eq!(&std::fs::read(path.join(&files(&path)[0])).unwrap(), &local);
        prop_assert_eq!(content.digest, Digest(*blake3::hash(&local).as_bytes()));
        prop_assert_eq!(name::wire_size(file.as_os_str()), Some(content.wire_size));
        let mut outgoing = folder.open_message(&file).unwrap();
        prop_assert_eq!(outgoing.content(), content);
        prop_assert_eq!(outgoing.modified(), UnixSeconds(-1));
        let mut sent = Vec::new();
        outgoing.read_to_end(&mut sent).unwrap();
        prop_assert_eq!(sent.len() as u64, outgoing.size());
        // What is sent is what was received, but for a message of bare LFs only.
        prop_assert_eq!(&sent, &back);
    }
}
