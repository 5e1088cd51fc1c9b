//! Memory does not depend on the mail: 10,000 messages (300 MB) and one message of 100 MB, at most 32 MB at the peak;
//! over IMAP, and out of a maildrop.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, with_lf};
use crate::world::pair::Pair;
use crate::world::post::Post;
use crate::world::scratch;
use crate::world::server::Server;

const LIMIT_KIB: u64 = 32 * 1024;
const BIG: u64 = 100_000_000;

/// Puts messages straight into the server's own Maildir: file name → path. `W=` spares the server reading each.
fn stock(dovecot: &Dovecot, mailbox: &str, count: usize, generator: &mut Generator) -> BTreeMap<String, PathBuf> {
    stock_of(dovecot, mailbox, count, 20_000, generator)
}

/// The same with messages from `size` octets up.
fn stock_of(
    dovecot: &Dovecot,
    mailbox: &str,
    count: usize,
    size: usize,
    generator: &mut Generator,
) -> BTreeMap<String, PathBuf> {
    let dir = dovecot.maildir(mailbox);
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(dir.join(part)).unwrap();
    }
    let mut paths = BTreeMap::new();
    for n in 0..count {
        let wire = generator.sized(size + n % 100 * 210);
        let bytes = with_lf(&wire);
        let name = format!("{}.M{n}P1.stock,S={},W={}:2,S", 1_700_000_000 + n, bytes.len(), wire.len());
        let path = dir.join("cur").join(name);
        fs::write(&path, &bytes).unwrap();
        paths.insert(subject(&path), path);
    }
    scratch::give_away(&dovecot.maildir(""));
    paths
}

fn subject(path: &Path) -> String {
    let mut head = String::new();
    BufReader::new(File::open(path).unwrap()).take(400).read_to_string(&mut head).unwrap();
    head.lines().find_map(|l| l.strip_prefix("Subject: ")).unwrap().to_owned()
}

fn same_bytes(a: &Path, b: &Path) -> bool {
    let [mut a, mut b] = [a, b].map(|p| BufReader::with_capacity(1 << 20, File::open(p).unwrap()));
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let n = a.read(&mut left).unwrap();
        if n == 0 {
            return b.read(&mut right).unwrap() == 0;
        }
        if b.read_exact(&mut right[..n]).is_err() || left[..n] != right[..n] {
            return false;
        }
    }
}

/// Writes a message of `size` octets without holding it.
fn write_big(path: &Path, size: u64) -> u64 {
    let mut out = BufWriter::new(File::create(path).unwrap());
    out.write_all(b"From: ann@example.org\nSubject: big\nMessage-ID: <big@example.org>\n\n").unwrap();
    let mut generator = Generator::new(12);
    let block = with_lf(&generator.sized(1_000_000));
    let mut written = 0;
    while written < size {
        out.write_all(&block).unwrap();
        written += block.len() as u64;
    }
    out.flush().unwrap();
    fs::metadata(path).unwrap().len()
}

#[test]
fn ten_thousand_messages() {
    let dovecot = Dovecot::start();
    let mut generator = Generator::new(10);
    let mut expected = BTreeMap::new();
    for (mailbox, count) in [("INBOX", 6000), ("Lists", 3000), ("Archive", 1000)] {
        expected.insert(mailbox, stock(&dovecot, mailbox, count, &mut generator));
    }
    let total: u64 = expected.values().flat_map(BTreeMap::values).map(|p| fs::metadata(p).unwrap().len()).sum();
    assert!(total > 290_000_000, "{total}");

    let pair = Pair::new(&dovecot);
    let outcome = pair.sync();
    eprintln!("10,000 messages, {} MB: {} KiB at the peak, {:?}", total / 1_000_000, outcome.peak_kib, outcome.took);
    for (mailbox, stocked) in &expected {
        let mut found = 0;
        for message in pair.tree.messages(mailbox) {
            let original = &stocked[&subject(&message.path)];
            assert!(same_bytes(original, &message.path), "{} differs", message.path.display());
            found += 1;
        }
        assert_eq!(found, stocked.len(), "{mailbox}");
    }
    assert!(outcome.peak_kib <= LIMIT_KIB, "{} KiB", outcome.peak_kib);
    let again = pair.sync();
    assert!(again.peak_kib <= LIMIT_KIB, "{} KiB when nothing has changed", again.peak_kib);
}

#[test]
fn one_message_of_100_mb_down() {
    let dovecot = Dovecot::start();
    stock(&dovecot, "INBOX", 1, &mut Generator::new(11));
    let big = dovecot.maildir("INBOX/cur").join("1700000001.M1P1.big:2,");
    write_big(&big, BIG);
    scratch::give_away(&big);
    let pair = Pair::new(&dovecot);
    let outcome = pair.sync();
    eprintln!("100 MB down: {} KiB at the peak, {:?}", outcome.peak_kib, outcome.took);
    let arrived = pair.tree.messages("INBOX").into_iter().find(|m| subject(&m.path) == "big").unwrap();
    let served = fs::read_dir(dovecot.maildir("INBOX/cur")).unwrap().map(|e| e.unwrap().path());
    let original = served.into_iter().find(|p| subject(p) == "big").unwrap();
    assert!(same_bytes(&original, &arrived.path));
    assert!(outcome.peak_kib <= LIMIT_KIB, "{} KiB", outcome.peak_kib);
}

#[test]
fn one_message_of_100_mb_up() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    pair.tree.create_mailbox("INBOX");
    let big = pair.tree.dir("INBOX").join("cur/1700000001.M1P1.big:2,S");
    write_big(&big, BIG);
    let outcome = pair.sync();
    eprintln!("100 MB up: {} KiB at the peak, {:?}", outcome.peak_kib, outcome.took);
    let sent = fs::read_dir(dovecot.maildir("INBOX/cur")).unwrap().map(|e| e.unwrap().path()).next().unwrap();
    let kept = pair.tree.messages("INBOX").pop().unwrap();
    assert!(same_bytes(&kept.path, &sent));
    assert!(outcome.peak_kib <= LIMIT_KIB, "{} KiB", outcome.peak_kib);
}

#[test]
fn ten_thousand_messages_and_a_big_one_out_of_a_maildrop() {
    let dovecot = Dovecot::start();
    let mut generator = Generator::new(13);
    let mut expected = stock_of(&dovecot, "INBOX", 10_000, 1000, &mut generator);
    let big = dovecot.maildir("INBOX").join("cur/1800000000.M1P1.stock:2,S");
    write_big(&big, BIG);
    expected.insert(subject(&big), big);
    scratch::give_away(&dovecot.maildir(""));
    let post = Post::at(dovecot.pop3_tls_port(), "");
    let configure = |keep: &str| {
        let tls = format!("tls = \"implicit\"\nca-file = \"{}\"", dovecot.ca_file().display());
        let text = post.account("home", dovecot.pop3_tls_port(), &format!("keep = {keep}"));
        fs::write(&post.config, text.replace("tls = \"none\"", &tls).replace("\"2s\"", "\"60s\"")).unwrap();
    };
    let left = || fs::read_dir(dovecot.maildir("INBOX").join("cur")).unwrap().count();
    configure("true");
    let outcome = post.sync().says(&["10,001 new"]);
    eprintln!("10,001 messages by POP3: {} KiB at the peak, {:?}", outcome.peak_kib, outcome.took);
    assert!(outcome.peak_kib <= LIMIT_KIB, "{} KiB", outcome.peak_kib);
    let messages = post.tree.messages("INBOX");
    assert_eq!(messages.len(), 10_001);
    for message in &messages {
        assert!(same_bytes(&expected[&subject(&message.path)], &message.path), "{} differs", message.path.display());
    }
    let outcome = post.sync().says(&["nothing changed"]);
    eprintln!("and nothing to do: {} KiB at the peak, {:?}", outcome.peak_kib, outcome.took);
    assert!(outcome.peak_kib <= LIMIT_KIB, "{} KiB", outcome.peak_kib);
    assert_eq!(left(), 10_001);

    // Not yet, and then all but what is new.
    configure("\"14d\"");
    post.sync().says(&["nothing changed"]);
    assert_eq!(left(), 10_001);
    post.age(14 * 24 * 3600);
    stock(&dovecot, "INBOX", 1, &mut Generator::new(14));
    post.sync().says(&["1 new", "10,001 deleted on the server"]);
    assert_eq!(left(), 1);
    configure("false");
    post.sync().says(&["1 deleted on the server"]);
    assert_eq!((left(), post.tree.messages("INBOX").len()), (0, 10_002));
}
