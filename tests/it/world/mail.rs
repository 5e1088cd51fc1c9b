//! A seeded generator of mail: every kind that makes trouble, each message different from all others.

use fastrand::Rng;

/// A message as it goes over the wire, with CRLF, unless its kind is about other line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// Two parts, one of them base64 of some kilobytes.
    Mime,
    /// Latin-1 and UTF-8, unencoded, in header and body.
    EightBit,
    NoMessageId,
    /// A Message-ID that others have too.
    SharedMessageId,
    /// Every octet but NUL, CR and LF.
    OddBytes,
    /// 20,000 octets without a line end.
    LongLine,
    /// A header, an empty line, nothing.
    EmptyBody,
    /// The last line has no end.
    NoFinalLineEnd,
    /// Lines that begin with `From `, dots, and what looks like IMAP.
    Lookalikes,
}

impl Kind {
    pub const ALL: [Kind; 10] = [
        Kind::Plain,
        Kind::Mime,
        Kind::EightBit,
        Kind::NoMessageId,
        Kind::SharedMessageId,
        Kind::OddBytes,
        Kind::LongLine,
        Kind::EmptyBody,
        Kind::NoFinalLineEnd,
        Kind::Lookalikes,
    ];
}

/// Makes messages; the same seed makes the same ones.
pub struct Generator {
    rng: Rng,
    seed: u64,
    made: u64,
}

impl Generator {
    pub fn new(seed: u64) -> Generator {
        Generator { rng: Rng::with_seed(seed), seed, made: 0 }
    }

    /// A message of any kind.
    pub fn any(&mut self) -> Vec<u8> {
        let kind = Kind::ALL[self.rng.usize(..Kind::ALL.len())];
        self.of(kind)
    }

    pub fn of(&mut self, kind: Kind) -> Vec<u8> {
        self.made += 1;
        let id = match kind {
            Kind::NoMessageId => String::new(),
            Kind::SharedMessageId => "Message-ID: <shared@example.org>\r\n".to_owned(),
            _ => format!("Message-ID: <{}.{}@example.org>\r\n", self.made, self.seed),
        };
        let mut bytes = format!(
            "From: Ann <ann@example.org>\r\nTo: me@example.org\r\nSubject: {kind:?} {}.{}\r\n{id}\
             Date: Thu, 01 Jan 2026 12:00:{:02} +0100\r\n",
            self.made,
            self.seed,
            self.made % 60
        )
        .into_bytes();
        match kind {
            Kind::Plain | Kind::NoMessageId | Kind::SharedMessageId => {
                bytes.extend_from_slice(b"\r\n");
                let lines = self.rng.usize(1..40);
                bytes.extend(self.lines(lines));
            }
            Kind::Mime => self.mime(&mut bytes),
            Kind::EightBit => {
                bytes.extend_from_slice(
                    b"X-Name: J\xfcrgen / J\xc3\xbcrgen\r\n\r\nGr\xfc\xdfe, gr\xc3\xbc\xc3\x9fe \xe2\x82\xac\r\n",
                );
            }
            Kind::OddBytes => {
                bytes.extend_from_slice(b"\r\n");
                bytes.extend((1..=255u8).filter(|b| !b"\r\n".contains(b)));
                bytes.extend_from_slice(b"\r\n");
            }
            Kind::LongLine => {
                bytes.extend_from_slice(b"\r\n");
                bytes.extend(std::iter::repeat_with(|| self.rng.alphanumeric() as u8).take(20_000));
                bytes.extend_from_slice(b"\r\n");
            }
            Kind::EmptyBody => bytes.extend_from_slice(b"\r\n"),
            Kind::NoFinalLineEnd => bytes.extend_from_slice(b"\r\nlast words"),
            Kind::Lookalikes => bytes.extend_from_slice(
                b"\r\nFrom me to you\r\n>From them\r\n.\r\n..\r\n)\r\n* 1 EXPUNGE\r\n{5}\r\n\r\n\r\n",
            ),
        }
        bytes
    }

    /// A plain message of about `size` octets, quickly made.
    pub fn sized(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = self.of(Kind::Plain);
        let block = self.lines(60);
        while bytes.len() < size {
            let share = block.len().min(size - bytes.len()).max(2);
            bytes.extend_from_slice(&block[..share - 2]);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }

    /// Lines of words, none of which looks like a command with a tag.
    fn lines(&mut self, count: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..count {
            for _ in 0..self.rng.usize(0..10) {
                let letters = self.rng.usize(1..9);
                out.extend(std::iter::repeat_with(|| self.rng.lowercase() as u8).take(letters));
                out.push(b' ');
            }
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    fn mime(&mut self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(
            b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b0\"\r\n\r\n--b0\r\n\
              Content-Type: text/plain; charset=utf-8\r\n\r\nSee below.\r\n--b0\r\n\
              Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        );
        for _ in 0..self.rng.usize(10..500) {
            bytes.extend(std::iter::repeat_with(|| self.rng.alphanumeric() as u8).take(76));
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"--b0--\r\n");
    }
}

/// CRLF to LF, as most tools store mail.
pub fn with_lf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (at, b) in bytes.iter().enumerate() {
        if *b != b'\r' || bytes.get(at + 1) != Some(&b'\n') {
            out.push(*b);
        }
    }
    out
}

#[test]
fn the_same_seed_makes_the_same_mail_and_no_two_are_alike() {
    let all = |seed| {
        let mut generator = Generator::new(seed);
        Kind::ALL.iter().chain(&Kind::ALL).map(|k| generator.of(*k)).collect::<Vec<_>>()
    };
    assert_eq!(all(7), all(7));
    let mut distinct = all(7);
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 20);
    assert!((99_000..101_000).contains(&Generator::new(1).sized(100_000).len()));
}
