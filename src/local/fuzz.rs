//! Names of files and directories as other programs may have made them, and messages as anybody may have written them.
//! Entry points of the targets in `tests/fuzz`, and of the mutation test.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Component;

use super::lines::{Form, ToLf, WireForm};
use super::name::{self, Letters};
use super::{Layout, WireDigest};
use crate::mail::{
    Content, Contents, Digest, FileOrigin, HeaderHash, HeaderHashScan, MailboxName, MessageIdHash, UnixSeconds,
};

/// Names of message files: whatever another program made of one, renaming it keeps its unique part and what it says.
pub fn file_name(data: &[u8]) {
    let old = OsStr::from_bytes(data);
    let unique = name::unique(old);
    let letters = Letters::of(old);
    let new = letters.name(unique);
    if !unique.is_empty() {
        assert_eq!(name::unique(&new), unique, "the unique part stays");
        assert_eq!(Letters::of(&new).name(name::unique(&new)), new, "one renaming is enough");
    }
    assert!(new.len() <= data.len() + 4);
    let from_mailbox = name::origin(unique).map(FileOrigin::Mailbox);
    let from_maildrop = name::maildrop_origin(unique).map(|(origin, _)| FileOrigin::Maildrop(origin));
    for origin in [from_mailbox, from_maildrop].into_iter().flatten() {
        let date = unique.to_str().and_then(|text| text.split('.').next()?.parse().ok()).unwrap_or_default();
        let written = name::delivered(&origin, UnixSeconds(date), 0, 0, 0);
        let mark = |name: &OsStr| name.as_bytes().split(|b| *b == b',').next().map(<[u8]>::to_vec);
        // Seconds beyond what we write are no reason to disown a file.
        if date > 0 {
            assert_eq!(mark(&written), mark(unique), "an origin is read from what we write only");
        }
        if let Some((file, wire)) = name::delivered_sizes(unique) {
            assert_eq!(
                name::delivered_sizes(&name::delivered(&origin, UnixSeconds(0), file, wire, 1)),
                Some((file, wire))
            );
        }
    }
}

/// Names of mailboxes as directories: below the root, never one that means something else, and back.
pub fn directory(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for layout in [Layout::Nested, Layout::MaildirPlusPlus] {
        if let Some(name) = MailboxName::parse(&text)
            && let Ok(path) = layout.directory(&name)
        {
            assert_eq!(layout.mailbox(&path).as_ref(), Some(&name), "there and back");
            let stays = |part| matches!(part, Component::Normal(part) if !["cur", "new", "tmp", ".mailtide"].map(OsStr::new).contains(&part));
            assert!(path.components().all(stays), "{path:?}");
        }
        let found = std::path::Path::new(&*text);
        if let Some(name) = layout.mailbox(found) {
            assert_eq!(layout.directory(&name).ok().as_deref(), Some(found), "a directory has one name");
        }
        let _ = layout.stand_in(found);
    }
}

/// A message: how it is cut makes no difference to what it is taken for, and the server gets back what it had. The first
/// octet is the cut.
pub fn message(data: &[u8]) {
    let Some((piece, wire)) = data.split_first() else { return };
    let piece = usize::from(*piece) + 1;
    let whole = contents(wire, wire.len().max(1));
    assert_eq!(contents(wire, piece), whole, "in pieces of {piece}");

    let lf = lf_form(wire, piece);
    let local = lf.as_deref().unwrap_or(wire);
    let message_id = MessageIdHash::of_header(local);
    let digest = Digest(*blake3::hash(local).as_bytes());
    assert_eq!(whole.whole, Content { digest, wire_size: wire.len() as u64, message_id }, "of the file it becomes");
    if let Some(unstamped) = whole.unstamped {
        assert!(unstamped.wire_size < whole.whole.wire_size && unstamped.digest != digest, "a stamp has octets");
    }

    let mut scan = HeaderHashScan::default();
    wire.chunks(piece).for_each(|piece| scan.push(piece));
    let hash = scan.finish();
    assert_eq!(hash, HeaderHash::of(wire), "in pieces of {piece}");
    if let Some(lf) = &lf {
        assert_eq!(hash, HeaderHash::of(lf), "line ends do not matter");
        assert_eq!(sent(lf), wire, "there and back");
    }
    // As a file that another program made.
    let goes_out = sent(wire);
    let paired = |at: usize| at.checked_sub(1).and_then(|before| goes_out.get(before)) == Some(&b'\r');
    assert!(memchr::memchr_iter(b'\n', &goes_out).all(paired), "a bare LF goes out");
    assert_eq!(sent(&goes_out), goes_out, "the wire form of a wire form is itself");
}

fn contents(wire: &[u8], piece: usize) -> Contents {
    let mut sum = WireDigest::default();
    wire.chunks(piece).for_each(|piece| sum.push(piece));
    sum.finish()
}

/// The form with LF line ends, if there is one.
fn lf_form(wire: &[u8], piece: usize) -> Option<Vec<u8>> {
    let (mut turn, mut lf) = (ToLf::default(), Vec::new());
    let clean = wire.chunks(piece).all(|piece| turn.push(piece, &mut lf).is_ok());
    (clean && !turn.holds_cr()).then_some(lf)
}

/// What is sent of a file that is text.
fn sent(text: &[u8]) -> Vec<u8> {
    let (mut form, mut wire) = (WireForm::new(text, Form::Text), Vec::new());
    while let Ok(piece @ [_, ..]) = form.piece() {
        wire.extend_from_slice(piece);
        let octets = piece.len();
        form.consume(octets);
    }
    wire
}
