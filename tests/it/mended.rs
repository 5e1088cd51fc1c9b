//! What other programs leave in a tree that no name tells rightly: a backup put back over it, one unique part twice, and
//! keyword letters out of another mailbox.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, Kind};
use crate::world::maildir::Message;
use crate::world::pair::{Pair, Setting};
use crate::world::server::Server;

/// A pair with so many messages in INBOX, and `Other`.
fn pair<'s>(dovecot: &'s Dovecot, account: &str, messages: usize, flags: &[&str]) -> Pair<'s> {
    let pair = Pair::with(dovecot, Setting { account: account.to_owned(), ..Setting::default() });
    let (mut client, mut generator) = (dovecot.client(), Generator::new(77));
    client.create("Other");
    for _ in 0..messages {
        client.append("INBOX", &generator.of(Kind::Plain), flags);
    }
    pair.sync();
    pair
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap().success());
}

fn letters(pair: &Pair<'_>, mailbox: &str) -> Vec<String> {
    pair.tree.messages(mailbox).iter().map(Message::letters).collect()
}

#[test]
fn a_backup_put_back_over_a_tree_whose_flags_changed_doubles_nothing() {
    for few in [false, true] {
        let dovecot = if few { Dovecot::showing("IMAP4rev1") } else { Dovecot::start() };
        let pair = pair(&dovecot, "", 6, &["\\Answered"]);
        let inbox = pair.tree.dir("INBOX");
        let backup = tempfile::tempdir().unwrap();
        copy(&inbox, backup.path());
        // Three were read since, and are known so on both sides; one was deleted; one has a mark to be deleted.
        let mut files = pair.tree.messages("INBOX");
        files[..3].iter_mut().for_each(|file| file.set_letters("RS"));
        files.pop().unwrap().delete();
        files[4].set_letters("RT");
        pair.sync();
        copy(backup.path(), &inbox);
        assert_eq!(pair.tree.messages("INBOX").len(), 10);
        let before = letters(&pair, "INBOX");
        let planned = pair.planned();
        assert_eq!(letters(&pair, "INBOX"), before, "a dry run changes nothing");
        pair.sync().says(&["4 messages were there twice"]);
        // The deleted one is back, as whoever puts a backup back wants; and a mark that the copy has not, is none.
        assert_eq!(letters(&pair, "INBOX"), ["RS", "RS", "RS", "R", "R", "R"]);
        pair.assert_settled("put back");
        assert_eq!(dovecot.client().uids("INBOX").len(), 6);
        // Where EXPUNGE would take marked ones along, the deleted one is still there.
        let back = if few { "link" } else { "upload" };
        let actions: BTreeSet<&str> = planned.iter().filter_map(|action| action["action"].as_str()).collect();
        assert_eq!(actions, BTreeSet::from(["set-flags", back]), "{planned:#?}");
    }
}

#[test]
fn a_tree_that_is_not_to_be_changed_is_taken_for_what_it_means() {
    let dovecot = Dovecot::start();
    let pair = pair(&dovecot, "", 2, &[]);
    pair.configure(&Setting { account: "direction = \"push\"".to_owned(), ..Setting::default() });
    let file = &pair.tree.messages("INBOX")[0];
    // New ones have no letters.
    fs::copy(&file.path, pair.tree.dir("INBOX").join("cur").join(format!("{}:2,FS", file.name()))).unwrap();
    let before = pair.tree.messages("INBOX").len();
    for _ in 0..2 {
        pair.sync();
        assert_eq!(pair.tree.messages("INBOX").len(), before);
        let flags: Vec<_> = dovecot.client().uids("INBOX").into_values().collect();
        assert_eq!(flags.iter().map(BTreeSet::len).collect::<Vec<_>>(), [2, 0], "{flags:?}");
    }
}

#[test]
fn another_message_under_a_known_unique_part_gets_a_name_of_its_own() {
    // Before and behind the known one in the order of names.
    for (known, other) in [("S", "FS"), ("FS", "S")] {
        let dovecot = Dovecot::start();
        let pair = pair(&dovecot, "", 3, &[]);
        let mut file = pair.tree.messages("INBOX").remove(1);
        file.set_letters(known);
        pair.sync();
        let message = Generator::new(78).of(Kind::Plain);
        let path = file.path.with_file_name(file.name().replace(&format!(":2,{known}"), &format!(":2,{other}")));
        fs::write(&path, String::from_utf8_lossy(&message).replace("\r\n", "\n")).unwrap();
        let known = file.bytes();
        pair.sync().says(&["sent"]);
        assert!(!path.exists() && file.bytes() == known, "the known one keeps its name");
        pair.assert_settled("two messages");
        assert_eq!(dovecot.client().uids("INBOX").len(), 4);
        // Their flags may become equal.
        dovecot.client().store("INBOX", "1:*", "+FLAGS (\\Seen \\Flagged)");
        pair.sync();
        pair.assert_settled("flags that are equal");
    }
}

#[test]
fn keywords_stay_with_a_file_whose_letters_mean_others_where_it_is_moved() {
    // With the table as it was, lost, and as of before the keyword came.
    for table in [None, Some(""), Some("5 earlier\n")] {
        let dovecot = Dovecot::start();
        let pair = pair(&dovecot, "", 4, &["\\Seen", "work"]);
        let mut client = dovecot.client();
        client.append("Other", &Generator::new(79).of(Kind::Plain), &["\\Seen", "private"]);
        client.create("Empty");
        pair.sync();
        assert_eq!(pair.tree.keyword_letter("INBOX", "work"), pair.tree.keyword_letter("Other", "private"));
        if let Some(table) = table {
            fs::write(pair.tree.dir("INBOX").join("dovecot-keywords"), table).unwrap();
        }
        // By name, and under a name of the mover's own.
        for (n, Message { path }) in pair.tree.messages("INBOX").into_iter().enumerate() {
            let to = pair.tree.dir(if n % 2 == 0 { "Other" } else { "Empty" }).join("cur");
            let name = if n < 2 { path.file_name().unwrap().to_owned() } else { format!("17.R{n}.host:2,Sa").into() };
            fs::rename(&path, to.join(name)).unwrap();
        }
        let planned = pair.planned();
        assert!(planned.iter().all(|action| action["action"] == "move"), "{planned:#?}");
        pair.sync();
        pair.assert_settled("moved");
        for (mailbox, keywords) in [("Other", vec!["private", "work", "work"]), ("Empty", vec!["work", "work"])] {
            let of =
                |flags: BTreeSet<String>| flags.into_iter().filter(|flag| !flag.starts_with('\\')).collect::<Vec<_>>();
            let mut found: Vec<String> = client.uids(mailbox).into_values().flat_map(of).collect();
            found.sort_unstable();
            assert_eq!(found, keywords, "{mailbox}");
        }
    }
}

#[test]
fn a_mailbox_put_back_from_a_backup_loses_nothing_that_came_since() {
    for few in [false, true] {
        let dovecot = if few { Dovecot::showing("IMAP4rev1") } else { Dovecot::start() };
        let pair = pair(&dovecot, "", 3, &["\\Seen"]);
        let (mut client, mut generator) = (dovecot.client(), Generator::new(80));
        client.append("Other", &generator.of(Kind::Plain), &[]);
        pair.sync();
        let backup = tempfile::tempdir().unwrap();
        copy(&pair.tree.root, backup.path());
        for mailbox in ["INBOX", "Other"] {
            (0..4).for_each(|_| client.append(mailbox, &generator.of(Kind::Plain), &[]));
            client.store(mailbox, "1", "+FLAGS (\\Flagged)");
        }
        pair.sync();
        let before = pair.assert_equal("before");
        ["INBOX", "Other"].iter().for_each(|mailbox| pair.tree.grow_old(mailbox));
        pair.sync();
        // The end of a run is known to the second.
        let a_second = std::time::Duration::from_millis(2100);
        std::thread::sleep(a_second);
        // As `rm -rf tree/*; cp -a backup/* tree` does, which leaves the marker.
        for mailbox in ["INBOX", "Other"] {
            fs::remove_dir_all(pair.tree.dir(mailbox)).unwrap();
            copy(&backup.path().join(mailbox), &pair.tree.dir(mailbox));
        }
        pair.sync().says(&["INBOX: the directory is another", "Other: the directory is another"]);
        assert_eq!(pair.assert_equal("put back"), before);
        // A directory made anew, as somebody may who reads that it is missing.
        for sub in ["cur", "new"] {
            let lost = pair.tree.dir("Other").join(sub);
            assert_ne!(fs::read_dir(&lost).unwrap().count(), 0, "{sub}");
            fs::remove_dir_all(&lost).unwrap();
            pair.try_sync(&[]).says(&["comes down again"]);
            std::thread::sleep(a_second);
            fs::create_dir(&lost).unwrap();
            pair.sync().says(&["Other: the directory is another"]);
            assert_eq!(pair.assert_equal(sub), before);
        }
        // From then on, what is deleted is.
        pair.tree.messages("Other").remove(0).delete();
        pair.sync().says(&["1 deleted on the server"]);
        pair.assert_settled("deleted");
    }
}

#[test]
fn keywords_that_find_no_letter_or_whose_letters_nothing_explains_stay_on_the_server() {
    let dovecot = Dovecot::start();
    let many: Vec<String> = (0..26).map(|n| format!("k{n:02}")).collect();
    let pair = pair(&dovecot, "", 1, &many.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut client, mut generator) = (dovecot.client(), Generator::new(81));
    for mailbox in ["From", "Gone"] {
        client.create(mailbox);
        client.append(mailbox, &generator.of(Kind::Plain), &["alpha"]);
    }
    client.append("Other", &generator.of(Kind::Plain), &["gamma"]);
    pair.sync();
    let file = |mailbox: &str| pair.tree.messages(mailbox).remove(0);
    let to = |mailbox: &str, file: &Message| pair.tree.dir(mailbox).join("cur").join(file.name());
    // Into one that is full; out of one that is gone then; and all 26 to where one letter is taken.
    let (full, gone, all) = (file("From"), file("Gone"), file("INBOX"));
    fs::rename(&full.path, to("INBOX", &full)).unwrap();
    fs::rename(&gone.path, to("Other", &gone)).unwrap();
    fs::rename(&all.path, to("Other", &all)).unwrap();
    fs::remove_dir_all(pair.tree.dir("Gone")).unwrap();
    for _ in 0..3 {
        pair.sync();
        let of = |flags: BTreeSet<String>| flags.into_iter().filter(|flag| !flag.starts_with('\\')).collect::<Vec<_>>();
        let mut found: Vec<Vec<String>> = client.uids("Other").into_values().map(of).collect();
        found.sort_by_key(|keywords| (keywords.len(), keywords.clone()));
        assert_eq!(found, [vec!["alpha".to_owned()], vec!["gamma".to_owned()], many.clone()]);
        assert_eq!(client.uids("INBOX").into_values().flat_map(of).collect::<Vec<_>>(), ["alpha"]);
    }
}
