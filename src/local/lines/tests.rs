//! Both ways, against models that look at one octet at a time.

use std::io::Write;

use proptest::prelude::*;

use super::*;

/// The local form of a wire form, as the module's head says.
pub(in crate::local) fn local_form(wire: &[u8]) -> Vec<u8> {
    let alone = |(at, octet): (usize, &u8)| match octet {
        b'\r' => wire.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || wire[at - 1] != b'\r',
        _ => false,
    };
    if wire.iter().enumerate().any(alone) {
        return wire.to_vec();
    }
    wire.iter().copied().filter(|b| *b != b'\r').collect()
}

/// The wire form of text, as the module's head says.
pub(in crate::local) fn wire_form(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for octet in text {
        if *octet == b'\n' && wire.last() != Some(&b'\r') {
            wire.push(b'\r');
        }
        wire.push(*octet);
    }
    wire
}

/// Messages with clean, mixed and wild line ends.
pub(in crate::local) fn octets() -> impl Strategy<Value = Vec<u8>> {
    let ends = |crlf, lf| {
        let rare = prop_oneof![Just(&b"\r"[..]), Just(&b"\r\r\n"[..])];
        prop_oneof![crlf => Just(&b"\r\n"[..]), lf => Just(&b"\n"[..]), 1 => rare]
    };
    let text = prop_oneof![Just(&b""[..]), Just(&b"Message-ID: <a@b>"[..]), Just(&b"x\0\xff"[..])];
    let clean = prop::collection::vec((text.clone(), Just(&b"\r\n"[..])), 0..12);
    let mostly_crlf = prop::collection::vec((text.clone(), ends(8, 1)), 0..12);
    let mostly_lf = prop::collection::vec((text, ends(1, 8)), 0..12);
    let join = |parts: Vec<(&[u8], &[u8])>| parts.into_iter().flat_map(|(t, l)| [t, l].concat()).collect();
    prop_oneof![
        clean.prop_map(join),
        mostly_crlf.prop_map(join),
        mostly_lf.prop_map(join),
        prop::collection::vec(prop::sample::select(b"\r\na".to_vec()), 0..20)
    ]
}

/// Where to cut what comes in pieces.
pub(in crate::local) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0usize..200, 0..5)
}

pub(in crate::local) fn pieces<'a>(whole: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (whole.len() + 1)).chain([0, whole.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|w| &whole[w[0]..w[1]]).collect()
}

fn to_wire(text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let (mut to_wire, mut wire) = (ToWire::default(), Vec::new());
    pieces(text, cuts).into_iter().for_each(|piece| to_wire.push(piece, &mut wire));
    wire
}

#[test]
fn what_the_server_stores_becomes_lf_or_stays() {
    for (wire, local) in [
        ("a\r\nb\r\n", "a\nb\n"),
        ("a\r\nb", "a\nb"),
        ("a", "a"),
        ("", ""),
        ("a\r\nb\nc\r\n", "a\r\nb\nc\r\n"),
        ("a\r\nb\rc", "a\r\nb\rc"),
        ("a\r", "a\r"),
        ("\r\r\n", "\r\r\n"),
        ("a\nb\n", "a\nb\n"),
    ] {
        assert_eq!(local_form(wire.as_bytes()), local.as_bytes(), "{wire:?}");
    }
}

#[test]
fn every_lf_of_text_goes_out_behind_a_cr() {
    for (text, wire) in [
        ("a\nb\n", "a\r\nb\r\n"),
        ("a\nb", "a\r\nb"),
        ("a\r\nb\r\n", "a\r\nb\r\n"),
        ("a\nin\rside\n", "a\r\nin\rside\r\n"),
        ("a\nb\r\nc\n", "a\r\nb\r\nc\r\n"),
        ("\n\r", "\r\n\r"),
        ("a\r\r\nb\n\n", "a\r\r\nb\r\n\r\n"),
        ("a", "a"),
    ] {
        assert_eq!(to_wire(text.as_bytes(), &[1, 2, 3]), wire.as_bytes(), "{text:?}");
    }
}

#[test]
fn only_a_name_of_ours_with_the_size_it_says_is_verbatim() {
    let ours = "1700000000.0a1b2c3d-00000004-5-6.mailtide";
    for (name, octets, form) in [
        (format!("{ours},S=9,W=9:2,S"), 9, Form::Verbatim),
        (format!("{ours},S=9,W=9,C=1"), 9, Form::Verbatim),
        (format!("{ours},S=9,W=9"), 8, Form::Text),
        (format!("{ours},S=9,W=10"), 9, Form::Text),
        (format!("{ours},S=8,W=9"), 9, Form::Text),
        (format!("{ours},W=9,S=9"), 9, Form::Text),
        (ours.to_owned(), 9, Form::Text),
        ("1700000000.M1P2.host,S=9,W=9:2,S".to_owned(), 9, Form::Text),
    ] {
        assert_eq!(Form::of(name.as_ref(), octets), form, "{name}");
    }
}

#[test]
fn expands_in_place_across_chunks() {
    let local: Vec<u8> = (0..3 * CHUNK + 17).map(|n| if n % 7 == 0 { b'\n' } else { b'x' }).collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&local).unwrap();
    expand_in_place(&file, local.len() as u64, count_lf(&local)).unwrap();
    let want = wire_form(&local);
    let mut got = vec![0; want.len()];
    file.read_exact_at(&mut got, 0).unwrap();
    assert!(got == want && file.metadata().unwrap().len() == want.len() as u64);
}

proptest! {
    #[test]
    fn to_lf_is_the_local_form(wire in octets(), cuts in cuts()) {
        let (mut to_lf, mut lf) = (ToLf::default(), Vec::new());
        let clean = pieces(&wire, &cuts).into_iter().all(|piece| to_lf.push(piece, &mut lf).is_ok());
        let paired = clean && !to_lf.holds_cr();
        prop_assert_eq!(paired, !wire.contains(&b'\n') && !wire.contains(&b'\r') || local_form(&wire) != wire);
        if paired {
            prop_assert_eq!(lf, local_form(&wire));
        }
    }

    #[test]
    fn to_wire_leaves_no_bare_lf_and_changes_nothing_else(text in octets(), cuts in cuts()) {
        let wire = to_wire(&text, &cuts);
        prop_assert_eq!(&wire, &wire_form(&text));
        prop_assert!(wire.iter().enumerate().all(|(at, b)| *b != b'\n' || at > 0 && wire[at - 1] == b'\r'));
        prop_assert_eq!(to_wire(&wire, &cuts), wire, "what is wire form stays");
    }
}
