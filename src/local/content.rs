//! Line ends, and what identifies a message by its bytes.
//!
//! The *wire form* is what the server stores. The *local form* is a function of it: LF line ends when every CR and LF
//! of the wire form stands in a CRLF pair, the same octets otherwise. So a file without any CR means CRLF for each LF,
//! and a file with one means itself. The one thing this loses: a wire form with bare LFs and no CR at all is sent as
//! CRLF.
//!
//! Digest and Message-ID are of the local form *of the wire form*; a file of another program with CRLF line ends has
//! the digest of the LF file that the same message would be if it were downloaded.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use crate::mail::message_id::HeaderScan;
use crate::mail::{Content, Digest, MessageIdHash};

/// Octets handled at once.
pub(super) const CHUNK: usize = 64 * 1024;

/// What a file's octets mean on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Each LF is a CRLF.
    Lf,
    /// The file is the wire form.
    Verbatim,
}

/// Turns the wire form into LF line ends as long as all CRs and LFs come in pairs.
#[derive(Debug, Default)]
pub(super) struct ToLf {
    /// A CR ended the last piece; what follows decides.
    held_cr: bool,
}

/// A CR or LF that stands alone: what of the piece was not turned, from that CR or LF on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bare<'a>(pub &'a [u8]);

impl ToLf {
    /// Appends the LF form of `wire` to `out`, up to the first bare CR or LF.
    pub(super) fn push<'a>(&mut self, wire: &'a [u8], out: &mut Vec<u8>) -> Result<(), Bare<'a>> {
        let mut rest = wire;
        if self.held_cr {
            match rest.split_first() {
                None => return Ok(()),
                Some((b'\n', after)) => rest = after,
                Some(_) => return Err(Bare(rest)),
            }
            out.push(b'\n');
            self.held_cr = false;
        }
        while let Some(at) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) {
            let (plain, end) = rest.split_at(at);
            out.extend_from_slice(plain);
            match end {
                [b'\r', b'\n', after @ ..] => rest = after,
                [b'\r'] => {
                    self.held_cr = true;
                    return Ok(());
                }
                bare => return Err(Bare(bare)),
            }
            out.push(b'\n');
        }
        out.extend_from_slice(rest);
        Ok(())
    }

    /// Whether a CR waits for its LF; at the end, or at a bare octet, it stands alone.
    pub(super) fn holds_cr(&self) -> bool {
        self.held_cr
    }
}

/// Appends the wire form of a piece in LF form to `out`.
pub(super) fn expand(local: &[u8], out: &mut Vec<u8>) {
    for line in local.split_inclusive(|b| *b == b'\n') {
        match line.split_last() {
            Some((b'\n', text)) => {
                out.extend_from_slice(text);
                out.extend_from_slice(b"\r\n");
            }
            _ => out.extend_from_slice(line),
        }
    }
}

/// Turns a file of `octets` octets with `lines` LFs from LF form into wire form, where it stands.
///
/// Goes from the end to the start, so that nothing is overwritten before it was read: constant memory, no second file.
pub(super) fn expand_in_place(file: &File, octets: u64, lines: u64) -> io::Result<()> {
    let (mut end, mut shift) = (octets, lines);
    let mut chunk = vec![0; CHUNK];
    let mut wire = Vec::with_capacity(2 * CHUNK);
    while shift > 0 && end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        chunk.resize((end - start) as usize, 0);
        file.read_exact_at(&mut chunk, start)?;
        wire.clear();
        expand(&chunk, &mut wire);
        shift = shift.saturating_sub((wire.len() - chunk.len()) as u64);
        file.write_all_at(&wire, start + shift)?;
        end = start;
    }
    Ok(())
}

/// Digest and Message-ID of a local form that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Sum {
    hash: blake3::Hasher,
    header: HeaderScan,
}

impl Sum {
    pub(super) fn push(&mut self, local: &[u8]) {
        self.hash.update(local);
        self.header.push(local);
    }

    pub(super) fn finish(self, wire_size: u64) -> Content {
        let digest = Digest(*self.hash.finalize().as_bytes());
        let message_id: Option<MessageIdHash> = self.header.finish();
        Content { digest, wire_size, message_id }
    }
}

/// Tells what file a message that comes in its wire form would become, without making one.
///
/// Both forms are summed up until the first bare CR or LF, since only the whole message tells which one it takes.
#[derive(Debug, Default)]
pub struct WireDigest {
    lf: Option<LfSum>,
    verbatim: Sum,
    octets: u64,
    started: bool,
}

#[derive(Debug, Default)]
struct LfSum {
    turn: ToLf,
    sum: Sum,
    local: Vec<u8>,
}

impl WireDigest {
    /// Takes the next piece of the wire form.
    pub fn push(&mut self, wire: &[u8]) {
        if !std::mem::replace(&mut self.started, true) {
            self.lf = Some(LfSum::default());
        }
        self.octets += wire.len() as u64;
        self.verbatim.push(wire);
        let clean = self.lf.as_mut().is_some_and(|lf| {
            lf.local.clear();
            let clean = lf.turn.push(wire, &mut lf.local).is_ok();
            lf.sum.push(&lf.local);
            clean
        });
        if !clean {
            self.lf = None;
        }
    }

    /// The content of the file.
    pub fn finish(self) -> Content {
        let octets = self.octets;
        match self.lf {
            Some(lf) if !lf.turn.holds_cr() => lf.sum.finish(octets),
            _ => self.verbatim.finish(octets),
        }
    }
}

/// Finds out what a local file is, in one pass.
#[derive(Debug)]
pub(super) struct Survey {
    octets: u64,
    lines: u64,
    has_cr: bool,
    as_is: Sum,
    /// The LF form it would have, should all its CRs and LFs turn out to come in pairs.
    paired: Option<(ToLf, Sum)>,
}

impl Survey {
    pub(super) fn new() -> Survey {
        Survey { octets: 0, lines: 0, has_cr: false, as_is: Sum::default(), paired: Some(Default::default()) }
    }

    pub(super) fn push(&mut self, local: &[u8]) {
        self.octets += local.len() as u64;
        self.lines += count_lf(local);
        self.has_cr = self.has_cr || local.contains(&b'\r');
        self.as_is.push(local);
        if let Some((to_lf, sum)) = &mut self.paired {
            let mut lf = Vec::new();
            match to_lf.push(local, &mut lf) {
                Ok(()) => sum.push(&lf),
                Err(Bare(_)) => self.paired = None,
            }
        }
    }

    pub(super) fn finish(self) -> (Content, Form) {
        let paired = self.paired.filter(|(to_lf, _)| !to_lf.holds_cr()).map(|(_, sum)| sum);
        match (self.has_cr, paired) {
            (false, _) => (self.as_is.finish(self.octets + self.lines), Form::Lf),
            (true, Some(lf)) => (lf.finish(self.octets), Form::Verbatim),
            (true, None) => (self.as_is.finish(self.octets), Form::Verbatim),
        }
    }

    /// Reads a file from where it stands to its end.
    pub(super) fn of(file: &mut File) -> io::Result<(Content, Form)> {
        let mut survey = Survey::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return Ok(survey.finish()),
                Ok(n) => survey.push(chunk.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// How many LFs there are.
pub(super) fn count_lf(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

#[cfg(test)]
pub(super) mod tests {
    proptest! {
        #[test]
        fn a_wire_digest_is_the_digest_of_the_file_it_would_become(wire in octets(), cuts in prop::collection::vec(0usize..200, 0..5)) {
            let mut sum = WireDigest::default();
            pieces(&wire, &cuts).into_iter().for_each(|piece| sum.push(piece));
            let (local, _) = model(&wire);
            let mut whole = Sum::default();
            whole.push(&local);
            prop_assert_eq!(sum.finish(), whole.finish(wire.len() as u64));
        }
    }

    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    /// The local form of a wire form, and the wire form that it means, as the module's head says.
    pub(in crate::local) fn model(wire: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut local = Vec::new();
        let mut to_lf = ToLf::default();
        if to_lf.push(wire, &mut local).is_err() || to_lf.holds_cr() {
            local = wire.to_vec();
        }
        let mut back = local.clone();
        if !local.contains(&b'\r') {
            back.clear();
            expand(&local, &mut back);
        }
        (local, back)
    }

    pub(in crate::local) fn octets() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            8 => Just(&b"\r\n"[..]), 1 => Just(&b"\n"[..]), 1 => Just(&b"\r"[..]), 1 => Just(&b"\r\r\n"[..]),
        ];
        let text = prop_oneof![Just(&b""[..]), Just(&b"Message-ID: <a@b>"[..]), Just(&b"x\0\xff"[..])];
        let clean = prop::collection::vec((text.clone(), Just(&b"\r\n"[..])), 0..12);
        let mixed = prop::collection::vec((text, line), 0..12);
        let join = |parts: Vec<(&[u8], &[u8])>| parts.into_iter().flat_map(|(t, l)| [t, l].concat()).collect();
        prop_oneof![
            clean.prop_map(join),
            mixed.prop_map(join),
            prop::collection::vec(prop::sample::select(b"\r\na".to_vec()), 0..20)
        ]
    }

    pub(in crate::local) fn pieces<'a>(whole: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (whole.len() + 1)).chain([0, whole.len()]).collect();
        cuts.sort_unstable();
        cuts.windows(2).map(|w| &whole[w[0]..w[1]]).collect()
    }

    fn survey(local: &[u8], cuts: &[usize]) -> (Content, Form) {
        let mut survey = Survey::new();
        pieces(local, cuts).into_iter().for_each(|p| survey.push(p));
        survey.finish()
    }

    #[test]
    fn what_means_what() {
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
            assert_eq!(String::from_utf8(model(wire.as_bytes()).0).unwrap(), local, "{wire:?}");
        }
    }

    #[test]
    fn a_file_with_crlf_is_the_message_it_would_be() {
        let (crlf, form) = survey(b"Message-ID: <a@b>\r\n\r\nx\r\n", &[18, 19]);
        let (lf, _) = survey(b"Message-ID: <a@b>\n\nx\n", &[]);
        assert_eq!(crlf, lf);
        assert_eq!(form, Form::Verbatim);
    }

    #[test]
    fn expands_in_place_across_chunks() {
        let local: Vec<u8> = (0..3 * CHUNK + 17).map(|n| if n % 7 == 0 { b'\n' } else { b'x' }).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&local).unwrap();
        expand_in_place(&file, local.len() as u64, count_lf(&local)).unwrap();
        let mut want = Vec::new();
        expand(&local, &mut want);
        let mut got = vec![0; want.len()];
        file.read_exact_at(&mut got, 0).unwrap();
        assert!(got == want && file.metadata().unwrap().len() == want.len() as u64);
    }

    proptest! {
        #[test]
        fn to_local_and_back(wire in octets()) {
            let (local, back) = model(&wire);
            let lf_only = wire.contains(&b'\n') && !wire.contains(&b'\r');
            if lf_only {
                prop_assert_eq!(&local, &wire);
            } else {
                prop_assert_eq!(&back, &wire);
            }
            prop_assert_eq!(model(&back).0, if lf_only { model(&back).0 } else { local });
        }

        #[test]
        fn a_survey_sees_the_canonical_content(local in octets(), cuts in prop::collection::vec(any::<usize>(), 0..5)) {
            let (content, form) = survey(&local, &cuts);
            // Whatever the file is, its content is that of the file its wire form would become.
            let wire = if form == Form::Lf { let mut w = Vec::new(); expand(&local, &mut w); w } else { local.clone() };
            let canonical = model(&wire).0;
            prop_assert_eq!(content.digest, Digest(*blake3::hash(&canonical).as_bytes()));
            prop_assert_eq!(content.wire_size, wire.len() as u64);
            prop_assert_eq!(content.message_id, MessageIdHash::of_header(&canonical));
        }
    }
}
