//! A corpus of ugly mail, each octet kept: up, down, moved on the server, and out of the same account over POP3.
//!
//! What a file holds is what the server stores, line ends aside: CRLF there is LF here. Dovecot itself mends lines that end
//! with CR or LF alone, and stores NUL as 0x80: the former are in `bytes`, with a server that does not.

use std::fs;

use crate::world::dovecot::Dovecot;
use crate::world::maildrop::{crlf_ended, on_the_wire};
use crate::world::pair::Pair;
use crate::world::post::Post;
use crate::world::server::Server;

/// Messages as their files hold them: lines end with LF.
fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let mut nested = String::from("Subject: five thousand levels\nMIME-Version: 1.0\n");
    for level in 0..5_000 {
        nested.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n"));
    }
    nested.push_str("\nthe innermost\n");
    let mut headers = String::from("Subject: many headers\n");
    (0..2_000).for_each(|n| headers.push_str(&format!("X-Line-{n}: {}\n", "v".repeat(n % 90))));
    headers.push_str("\nbody\n");
    let texts: Vec<(&str, Vec<u8>)> = vec![
        ("8-bit in the header", b"Subject: caf\xe9 \xff\xfe \xc3\xa9\nFrom: \x80@\x81\n\nbody \x8f\n".to_vec()),
        ("no header at all", b"\njust text\n".to_vec()),
        ("no colon anywhere", b"this is no header\n\nnor is this\n".to_vec()),
        ("header only, not ended", b"Subject: the end".to_vec()),
        ("a single octet", b"x".to_vec()),
        ("a single line end", b"\n".to_vec()),
        ("dots", b"Subject: dots\n\n.\n..\n...\n.x\n\n.\n".to_vec()),
        ("From and tags", b"Subject: lines\n\nFrom me\n>From me\nA1 OK done\n* BYE\n+OK\n-ERR\n)\n{5}\n".to_vec()),
        ("many empty lines", [b"Subject: empty\n".to_vec(), vec![b'\n'; 5_000]].concat()),
        ("a long header", format!("Subject: {}\n\nx\n", "long ".repeat(20_000)).into_bytes()),
        ("2,000 headers", headers.into_bytes()),
        ("5,000 MIME levels", nested.into_bytes()),
        ("one line of 10 MB", [b"Subject: ten\n\n".to_vec(), vec![b'x'; 10_000_000], b"\n".to_vec()].concat()),
        ("a duplicate", b"Message-ID: <twice@x>\nSubject: twice\n\ntwice\n".to_vec()),
        ("the same again", b"Message-ID: <twice@x>\nSubject: twice\n\ntwice\n".to_vec()),
        ("control characters", (1..=31u8).filter(|b| !matches!(b, b'\r' | b'\n')).chain(*b"\n\nz\n").collect()),
    ];
    texts
}

/// The first octets and the digest of each, for a failure's message, in an order of their own.
fn digests(all: impl IntoIterator<Item = Vec<u8>>) -> Vec<(String, String)> {
    let digest = |octets: Vec<u8>| {
        let begin = String::from_utf8_lossy(octets.get(..60).unwrap_or(&octets)).into_owned();
        (blake3::hash(&octets).to_hex().to_string(), begin)
    };
    let mut all: Vec<_> = all.into_iter().map(digest).collect();
    all.sort();
    all
}

fn files(dir: std::path::PathBuf) -> Vec<(String, String)> {
    let entries = ["new", "cur"].map(|sub| fs::read_dir(dir.join(sub)).unwrap());
    digests(entries.into_iter().flatten().map(|entry| fs::read(entry.unwrap().path()).unwrap()))
}

#[test]
fn ugly_mail_keeps_every_octet() {
    let dovecot = Dovecot::start();
    let up = Pair::new(&dovecot);
    up.tree.create_mailbox("INBOX");
    for (n, (_, octets)) in corpus().iter().enumerate() {
        up.tree.deliver("INBOX", &format!("17.{n}"), octets, Some("S"));
    }
    let corpus = digests(corpus().into_iter().map(|(_, octets)| octets));
    up.sync();
    assert_eq!(files(up.tree.dir("INBOX")), corpus, "what went up stays as it was here");

    let down = Pair::new(&dovecot);
    down.sync();
    assert_eq!(files(down.tree.dir("INBOX")), corpus, "what comes down is what went up");

    let post = Post::at(dovecot.pop3_port(), "");
    post.sync();
    let wire = digests(files_of(&down).iter().map(|octets| crlf_ended(&on_the_wire(octets))));
    assert_eq!(digests(post.mail()), wire, "over POP3 it is the same, and ends with a line end (RFC 1939 section 3)");

    let mut client = dovecot.client();
    client.create("Moved");
    // Without a Message-ID nothing tells that they moved: they come anew, and have to be the same.
    client.move_to("INBOX", "1:*", "Moved");
    for pair in [&up, &down] {
        pair.sync();
        assert_eq!(files(pair.tree.dir("Moved")), corpus, "what moved is the same");
        pair.assert_settled("ugly mail");
    }
}

fn files_of(pair: &Pair<'_>) -> Vec<Vec<u8>> {
    pair.tree.messages("INBOX").iter().map(|message| message.bytes()).collect()
}

/// A server may store other octets than it took: then each side keeps its own, and nothing is sent again.
#[test]
fn a_nul_does_not_go_up_and_down_for_ever() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    pair.tree.create_mailbox("INBOX");
    let octets = b"Message-ID: <nul@x>\nSubject: nul\n\na\0b\n";
    pair.tree.deliver("INBOX", "17.1", octets, Some("S"));
    pair.try_sync(&[]);
    pair.try_sync(&[]);
    assert_eq!(pair.tree.messages("INBOX").iter().map(|m| m.bytes()).collect::<Vec<_>>(), [octets]);
    assert!(dovecot.client().uids("INBOX").len() <= 1);
    // Another tree gets what the server has, once.
    let other = Pair::new(&dovecot);
    other.sync();
    other.assert_settled("what the server stores");
    assert_eq!(other.tree.messages("INBOX").len(), dovecot.client().uids("INBOX").len());
}
