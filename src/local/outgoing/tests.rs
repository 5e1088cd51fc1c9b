//! From the wire into a file, and from a file onto the wire.

use proptest::prelude::*;

use super::super::deliver::Delivery;
use super::super::deliver::tests::{files, flags, origin};
use super::super::incoming::Received;
use super::super::lines::CHUNK;
use super::super::lines::tests::{cuts, local_form, octets, pieces, wire_form};
use super::super::store::tests::folder;
use super::super::{Folder, dir, name};
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

/// What is sent for a file.
fn sent(folder: &Folder, file: &FileId) -> (Vec<u8>, Content) {
    let mut outgoing = folder.open_message(file).unwrap();
    let mut octets = Vec::new();
    outgoing.read_to_end(&mut octets).unwrap();
    assert_eq!(octets.len() as u64, outgoing.size());
    (octets, outgoing.content())
}

fn received(folder: &Folder, wire: &[u8], cuts: &[usize]) -> Received {
    let mut incoming = folder.incoming().unwrap();
    pieces(wire, cuts).into_iter().for_each(|piece| incoming.write(piece).unwrap());
    incoming.finish().unwrap()
}

fn delivered(folder: &Folder, wire: &[u8], cuts: &[usize]) -> (FileId, Content) {
    let received = received(folder, wire, cuts);
    let (content, flags) = (received.content, flags(&["\\Seen"]));
    let delivery = Delivery { received, origin: origin(9).into(), flags, internal_date: UnixSeconds(-1) };
    (folder.deliver(vec![delivery]).remove(0).unwrap().file, content)
}

/// What a scan finds, examined.
fn examined(folder: &Folder, file: &FileId) -> Content {
    let listing = folder.boxes.roll(dir::now()).unwrap().listing();
    folder.boxes.examine(&listing.files[file], dir::now()).unwrap().unwrap().contents.whole
}

#[test]
fn a_foreign_file_with_one_stray_cr_goes_out_without_bare_lf() {
    let (_temp, folder, path) = folder();
    for (file, wire) in [
        ("Subject: x\n\none\rstray\nline\n", "Subject: x\r\n\r\none\rstray\r\nline\r\n"),
        ("Subject: x\n\none line\r\namong\nothers\n", "Subject: x\r\n\r\none line\r\namong\r\nothers\r\n"),
    ] {
        std::fs::write(path.join("cur/1.2.host:2,S"), file).unwrap();
        let (octets, content) = sent(&folder, &FileId::new("1.2.host"));
        assert_eq!(String::from_utf8(octets).unwrap(), wire);
        // A server that stores what it was sent has the same message, by size and digest.
        assert_eq!(received(&folder, wire.as_bytes(), &[]).content, content);
    }
}

#[test]
fn a_verbatim_file_is_itself_as_long_as_it_has_its_name_and_size() {
    let (_temp, folder, path) = folder();
    let wire = b"Subject: x\r\n\r\nbare\nlf\r\n";
    let (file, content) = delivered(&folder, wire, &[]);
    let place = path.join(&files(&path)[0]);
    assert_eq!(sent(&folder, &file), (wire.to_vec(), content));
    std::fs::copy(&place, path.join("cur/copy:2,")).unwrap();
    assert_eq!(sent(&folder, &FileId::new("copy")).0, b"Subject: x\r\n\r\nbare\r\nlf\r\n");
    std::fs::write(&place, b"Subject: x\n\nedited\n").unwrap();
    let edited = b"Subject: x\r\n\r\nedited\r\n";
    assert_eq!(sent(&folder, &file), (edited.to_vec(), received(&folder, edited, &[]).content));
    assert_eq!(examined(&folder, &file), received(&folder, edited, &[]).content);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn what_the_server_had_is_what_it_gets_back(wire in octets(), cuts in cuts()) {
        let (_temp, folder, path) = folder();
        let (file, content) = delivered(&folder, &wire, &cuts);
        let local = local_form(&wire);
        prop_assert_eq!(&std::fs::read(path.join(&files(&path)[0])).unwrap(), &local);
        prop_assert_eq!(content.digest, Digest(*blake3::hash(&local).as_bytes()));
        prop_assert_eq!(content.wire_size, wire.len() as u64);
        prop_assert_eq!(name::delivered_sizes(file.as_os_str()), Some((local.len() as u64, content.wire_size)));
        prop_assert_eq!(examined(&folder, &file), content);
        prop_assert_eq!(folder.open_message(&file).unwrap().modified(), UnixSeconds(-1));
        prop_assert_eq!(sent(&folder, &file), (wire.clone(), content));
        prop_assert_eq!(delivered(&folder, &wire, &[]).0, file, "once more is the same file");
    }

    #[test]
    fn what_another_program_wrote_comes_back_as_the_same_message(octets in octets()) {
        let (_temp, folder, path) = folder();
        std::fs::write(path.join("new/1.2.host,S=1,W=1"), &octets).unwrap();
        let file = FileId::new("1.2.host,S=1,W=1");
        let (wire, content) = sent(&folder, &file);
        prop_assert_eq!(&wire, &wire_form(&octets));
        prop_assert_eq!(examined(&folder, &file), content);
        prop_assert_eq!(received(&folder, &wire, &[]).content, content);
    }
}
