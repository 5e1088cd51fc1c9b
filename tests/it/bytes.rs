//! Bytes and dates: what the server stores is what the file holds, N messages in are N out, and no header is added.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use crate::world::dovecot::{Dovecot, Options};
use crate::world::mail::{Generator, Kind, with_lf};
use crate::world::maildir::{Layout, Message, Tree};
use crate::world::pair::{Pair, Setting, events};
use crate::world::process::{As, Mailtide};
use crate::world::scratch::Scratch;
use crate::world::scripted::Scripted;
use crate::world::server::Server;
use crate::world::small::{Small, Ways};

/// The files of a directory, by content, without names.
fn contents(dir: std::path::PathBuf) -> Vec<Vec<u8>> {
    let entries = ["new", "cur"].map(|p| fs::read_dir(dir.join(p)).unwrap());
    let mut all: Vec<_> = entries.into_iter().flatten().map(|e| fs::read(e.unwrap().path()).unwrap()).collect();
    all.sort();
    all
}

#[test]
fn every_kind_goes_down_and_up_unchanged() {
    let dovecot = Dovecot::start();
    let mut client = dovecot.client();
    client.create("Up");
    let (mut down, mut up) = (Vec::new(), Vec::new());
    let mut generator = Generator::new(1);
    for kind in Kind::ALL {
        let bytes = generator.of(kind);
        client.append("INBOX", &bytes, &[]);
        down.push(with_lf(&bytes));
        up.push(with_lf(&generator.of(kind)));
    }
    let pair = Pair::new(&dovecot);
    pair.tree.create_mailbox("Up");
    for (n, bytes) in up.iter().enumerate() {
        pair.tree.deliver("Up", &format!("17.{n}"), bytes, Some("S"));
    }
    pair.sync();
    down.sort();
    up.sort();
    assert_eq!(contents(pair.tree.dir("INBOX")), down, "files hold what was appended");
    assert_eq!(contents(dovecot.maildir("INBOX")), down);
    assert_eq!(contents(dovecot.maildir("Up")), up, "the server holds what the files hold");
    pair.assert_settled("every kind");
}

#[test]
fn files_with_crlf_or_bare_cr_go_up_and_stay_as_they_are() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    pair.tree.create_mailbox("INBOX");
    let bodies: [&[u8]; 4] = [
        b"Subject: crlf\r\n\r\nall lines\r\nend so\r\n",
        b"Subject: bare cr\n\nin\rside\n",
        b"Subject: mixed\r\n\nboth\r\nkinds\n",
        b"Subject: cr at the end\n\nx\r",
    ];
    for (n, body) in bodies.into_iter().enumerate() {
        pair.tree.deliver("INBOX", &format!("17.{n}"), body, Some("S"));
    }
    pair.sync();
    let kept: Vec<_> = pair.tree.messages("INBOX").iter().map(|m| m.bytes()).collect();
    for body in bodies {
        assert!(kept.iter().any(|k| k == body), "a file was changed: {:?}", String::from_utf8_lossy(body));
    }
    assert_eq!(dovecot.client().snapshot().messages(), 4);
    pair.assert_settled("odd line ends");
}

#[test]
fn a_bare_cr_or_lf_on_the_wire_is_kept_verbatim() {
    let body = "Subject: bare\r\n\r\ncr \r here\nlf there\r\nend\r\n";
    let size = body.len();
    let script = move |command: &str| {
        let done = |lines: Vec<String>| Some((lines, "OK done".to_owned()));
        if command.starts_with("LIST") {
            done(vec!["* LIST () \"/\" INBOX".into()])
        } else if command.starts_with("STATUS") {
            done(vec!["* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)".into()])
        } else if command.starts_with("SELECT") || command.starts_with("EXAMINE") {
            let lines = ["* 1 EXISTS", "* 0 RECENT", "* FLAGS (\\Seen)", "* OK [UIDVALIDITY 7]", "* OK [UIDNEXT 2]"];
            done(lines.map(String::from).into())
        } else if command.starts_with("UID FETCH") && command.contains("BODY") {
            done(vec![format!("* 1 FETCH (UID 1 BODY[] {{{size}}}\r\n{body})")])
        } else if command.starts_with("UID FETCH") {
            let date = "01-Jan-2026 12:00:00 +0000";
            done(vec![format!("* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"{date}\" RFC822.SIZE {size})")])
        } else {
            None
        }
    };
    let dovecot = Dovecot::start();
    let server = Scripted::answering("IMAP4rev1", script);
    let pair = Pair::with(&dovecot, Setting { through: Some(server.port()), ..Setting::default() });
    pair.sync();
    assert_eq!(contents(pair.tree.dir("INBOX")), [body.as_bytes()], "{:?}", server.heard());
}

#[test]
fn dates_and_new_or_cur_follow_the_message() {
    let dovecot = Dovecot::start();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let mut client = dovecot.client();
    client.append("INBOX", b"Subject: unseen\r\n\r\n", &[]);
    client.append("INBOX", b"Subject: seen\r\n\r\n", &["\\Seen"]);
    drop(client);
    for part in ["new", "cur"] {
        for entry in fs::read_dir(dovecot.maildir("INBOX").join(part)).unwrap() {
            File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(long_ago).unwrap();
        }
    }
    // Dovecot believes its index, unless it never saw the message.
    for entry in fs::read_dir(dovecot.maildir("INBOX")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("dovecot.index") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let pair = Pair::new(&dovecot);
    pair.tree.create_mailbox("INBOX");
    let mine = pair.tree.deliver("INBOX", "17.mine", b"Subject: mine\n\n", Some("S"));
    let lately = long_ago + Duration::from_secs(500_000_000);
    File::options().write(true).open(&mine.path).unwrap().set_modified(lately).unwrap();
    pair.sync();
    for message in pair.tree.messages("INBOX") {
        let text = String::from_utf8(message.bytes()).unwrap();
        let modified = fs::metadata(&message.path).unwrap().modified().unwrap();
        let in_new = message.path.parent().unwrap().ends_with("new");
        let expected = if text.contains("mine") { lately } else { long_ago };
        assert_eq!((modified, in_new), (expected, text.contains("unseen")), "{text}");
    }
    let sent = fs::read_dir(dovecot.maildir("INBOX/cur")).unwrap().map(|e| e.unwrap().path());
    let sent = sent.into_iter().find(|p| fs::read(p).unwrap().starts_with(b"Subject: mine")).unwrap();
    assert_eq!(fs::metadata(sent).unwrap().modified().unwrap(), lately, "INTERNALDATE is the file's mtime");
}

#[test]
fn copies_are_counted_not_merged() {
    let dovecot = Dovecot::start();
    let mut client = dovecot.client();
    let same = b"Subject: same\r\nMessage-ID: <same@example.org>\r\n\r\nx\r\n";
    for _ in 0..3 {
        client.append("INBOX", same, &["\\Seen"]);
    }
    let pair = Pair::new(&dovecot);
    pair.sync();
    assert_eq!(pair.assert_equal("three down").messages(), 3);
    for n in 0..2 {
        pair.tree.deliver("INBOX", &format!("17.{n}"), &with_lf(same), Some("S"));
    }
    pair.sync();
    assert_eq!(pair.assert_equal("two more up").messages(), 5);
    pair.tree.messages("INBOX").remove(0).delete();
    pair.sync();
    assert_eq!(pair.assert_equal("one less").messages(), 4);
    let mut generator = Generator::new(2);
    for _ in 0..5 {
        client.append("INBOX", &generator.of(Kind::SharedMessageId), &[]);
        client.append("INBOX", &generator.of(Kind::NoMessageId), &[]);
    }
    pair.sync();
    assert_eq!(pair.assert_equal("shared and missing Message-IDs").messages(), 14);
    pair.assert_settled("copies");
}

#[test]
fn more_keywords_than_letters() {
    let dovecot = Dovecot::start();
    let mut client = dovecot.client();
    for n in 0..30 {
        client.append("INBOX", format!("Subject: {n}\r\n\r\n").as_bytes(), &["\\Flagged", &format!("kw{n}")]);
    }
    let pair = Pair::new(&dovecot);
    pair.sync();
    let local = pair.tree.snapshot();
    let with_keyword = local.0["INBOX"].iter().filter(|m| m.flags.len() == 2).count();
    assert_eq!((local.messages(), with_keyword), (30, 26));
    pair.assert_settled("26 letters");
    // What has no letter is not taken for removed.
    assert!(client.snapshot().0["INBOX"].iter().all(|m| m.flags.len() == 2));
}

#[test]
fn a_server_with_crlf_in_its_files_is_no_different() {
    let dovecot = Dovecot::with(Options { extra: "mail_save_crlf = yes\n", ..Options::default() });
    let mut client = dovecot.client();
    let mut generator = Generator::new(3);
    let mut expected: Vec<_> = Kind::ALL.map(|kind| generator.of(kind)).into();
    expected.iter().for_each(|bytes| client.append("INBOX", bytes, &[]));
    expected.iter_mut().for_each(|bytes| *bytes = with_lf(bytes));
    expected.sort();
    let pair = Pair::new(&dovecot);
    pair.sync();
    assert_eq!(contents(pair.tree.dir("INBOX")), expected);
}

#[test]
fn uploads_to_a_server_that_tells_no_uids_are_found_there() {
    let small = Small::start(Ways::default());
    let scratch = Scratch::new();
    let mailtide = Mailtide::new(&scratch, As::Me);
    let config = small.configuration(&scratch, "");
    let sync = ["sync", "-c", &config, "--deadline", "20s"];
    let tree = Tree::new(mailtide.home().join("Mail"), Layout::Nested);
    tree.create_mailbox("INBOX");
    small.inbox().add(b"Subject: theirs\r\n\r\n", &[]);
    for n in 0..12 {
        // With a Message-ID of its own, with one that two share, with none; and two that are the same message.
        let id = match n % 4 {
            0 | 1 => format!("Message-ID: <{n}@x>\n"),
            2 => "Message-ID: <shared@x>\n".to_owned(),
            _ => String::new(),
        };
        let text = format!("{id}Subject: {}\n\n", if n == 11 { 7 } else { n });
        tree.deliver("INBOX", &format!("17.{n}"), text.as_bytes(), Some("S"));
    }
    mailtide.run(&sync).expect(0);
    assert_eq!((small.inbox().messages.len(), tree.messages("INBOX").len()), (13, 13));
    let plan = mailtide.run(&["sync", "-c", &config, "--dry-run", "--json"]).expect(0).stdout;
    let actions: Vec<_> = events(&plan).into_iter().filter(|e| e["event"] == "action").collect();
    assert!(actions.is_empty(), "{actions:#?}");
    // Each link leads to the right message: what is deleted here goes there.
    let wanted = |m: &Message| m.bytes().starts_with(b"Message-ID: <shared@x>\nSubject: 6\n");
    tree.messages("INBOX").into_iter().find(wanted).unwrap().delete();
    mailtide.run(&sync).expect(0);
    let subjects =
        |text: &[u8]| String::from_utf8_lossy(text).lines().find(|l| l.starts_with("Subject")).unwrap().to_owned();
    let mut there: Vec<_> = small.inbox().messages.values().map(|m| subjects(&m.bytes)).collect();
    let mut here: Vec<_> = tree.messages("INBOX").iter().map(|m| subjects(&m.bytes())).collect();
    there.sort();
    here.sort();
    assert_eq!(there, here);
    assert_eq!(there.len(), 12);
}

#[test]
fn a_keyword_for_which_the_directory_has_no_letter_left_is_planned_once() {
    // The server keeps `late` and no other keyword; so the 26 that a file here has are in no link.
    let small = Small::start(Ways { permanent: "\\Seen \\Deleted late", ..Ways::default() });
    small.inbox().add(b"Subject: theirs\r\n\r\n", &["\\Seen"]);
    let scratch = Scratch::new();
    let mailtide = Mailtide::new(&scratch, As::Me);
    let config = small.configuration(&scratch, "");
    let sync = ["sync", "-c", &config];
    let tree = Tree::new(mailtide.home().join("Mail"), Layout::Nested);
    tree.create_mailbox("INBOX");
    let letters: String = (0..26).map(|n| tree.keyword_letter("INBOX", &format!("k{n}"))).collect();
    tree.deliver("INBOX", "17.1", b"Subject: ours\n\n", Some(&format!("S{letters}")));
    mailtide.run(&sync).expect(0);
    tree.grow_old("INBOX");
    mailtide.run(&sync).expect(0);
    small.inbox().messages.get_mut(&1).unwrap().flags.insert("late".into());
    mailtide.run(&sync).expect(0);
    let plan = mailtide.run(&["sync", "-c", &config, "--dry-run", "--json"]).expect(0).stdout;
    let actions: Vec<_> = events(&plan).into_iter().filter(|e| e["event"] == "action").collect();
    assert!(actions.is_empty(), "planned again: {actions:#?}");
}

#[test]
fn a_message_that_is_refused_among_others_is_named_and_the_others_go_up() {
    let extra = "protocol imap {\n  mail_plugins = quota imap_quota zlib imap_zlib\n}\n\
                 plugin {\n  quota = count:User quota\n  quota_vsizes = yes\n  quota_max_mail_size = 20k\n}\n";
    let dovecot = Dovecot::with(Options { extra, ..Options::default() });
    let pair = Pair::new(&dovecot);
    pair.tree.create_mailbox("INBOX");
    for n in 0..5 {
        let body = format!("Subject: {n}\n\n{}", "line\n".repeat(if n == 2 { 10_000 } else { 10 }));
        pair.tree.deliver("INBOX", &format!("17.{n}"), body.as_bytes(), Some("S"));
    }
    for _ in 0..2 {
        pair.try_sync(&[]).expect(1).says(&["17.2"]);
        assert_eq!(dovecot.client().snapshot().messages(), 4);
    }
}
