//! Messages that move, are copied, or whose mailbox is renamed: the other side follows without a body on the wire.
//!
//! Every test looks at what the server heard: no body was asked for and none was sent; and how many octets went over the
//! wire, which is far less than the bodies have.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::world::cyrus::Cyrus;
use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, Kind};
use crate::world::maildir::{Layout, Tree};
use crate::world::pair::{Pair, Setting, events};
use crate::world::server::Server;

/// Messages in the mailbox that everything comes from, where the numbers do not matter.
const MANY: usize = 120;
/// Octets of a message.
const SIZE: usize = 5000;

/// One server, and how the account is set up with it.
struct Case<'s> {
    server: &'s dyn Server,
    which: &'s str,
    /// Lines of `[accounts.work.imap]`.
    imap: &'s str,
    /// How many messages move.
    many: usize,
}

impl Case<'_> {
    fn pair(&self, layout: Layout) -> Pair<'_> {
        Pair::with(self.server, Setting { layout, imap: self.imap.to_owned(), ..Setting::default() })
    }

    /// A pair with `many` messages in `From`, the same on both sides, every third one read, and an empty `To`.
    fn filled(&self, many: usize) -> Pair<'_> {
        filled(self.pair(Layout::Nested), many)
    }
}

/// Every server the tests have, as it is and with extensions hidden.
fn on_each_server(test: impl Fn(&Case<'_>)) {
    test(&Case { server: &Dovecot::start(), which: "Dovecot", imap: "", many: 1000 });
    let case = |server: &dyn Server, which: &str, imap: &str| test(&Case { server, which, imap, many: 250 });
    let few = "IMAP4rev1 UIDPLUS CONDSTORE ENABLE LITERAL+";
    case(&Dovecot::showing(few), "Dovecot without MOVE", "");
    case(&Dovecot::showing("IMAP4rev1"), "Dovecot, bare", "");
    // Of these servers it alone has OBJECTID.
    for (which, imap) in [("Cyrus", ""), ("Cyrus without OBJECTID", "disable = [\"OBJECTID\"]\n")] {
        if let Some(cyrus) = Cyrus::start() {
            assert!(cyrus.client().can("OBJECTID"));
            case(&cyrus, which, imap);
        }
    }
}

/// Fills a pair as [`Case::filled`] says.
pub fn filled(pair: Pair<'_>, many: usize) -> Pair<'_> {
    let mut client = pair.server.client();
    let mut generator = Generator::new(11);
    client.create("From");
    client.create("To");
    for n in 0..many {
        let flags: &[&str] = if n % 3 == 0 { &["\\Seen", "work"] } else { &[] };
        client.append("From", &generator.sized(SIZE), flags);
    }
    pair.sync();
    pair.assert_equal("filled");
    pair.assert_settled("filled");
    pair
}

/// Syncs, and fails if a body went over the wire in either direction; then both sides are equal and settled.
#[track_caller]
pub fn sync_without_bodies(pair: &Pair<'_>, context: &str) {
    let log = pair.server.wire_log().mark();
    let run = pair.try_sync(&["--json"]).expect(0);
    let commands = log.commands();
    let body = |c: &&String| c.contains("BODY.PEEK[]") || c.contains("BODY[]") || c.contains("APPEND");
    assert_eq!(commands.iter().find(body), None, "{context}: {commands:#?}");
    let summary = events(&run.stdout).pop().unwrap();
    let octets = |way: &str| summary[way].as_u64().unwrap();
    let messages = pair.tree.snapshot().messages() as u64;
    // A listing, a Message-ID and a UID each way; the login and the list of mailboxes.
    let most = 10_000 + 600 * messages;
    let (sent, received) = (octets("sent"), octets("received"));
    assert!(sent + received < most, "{context}: {sent} sent, {received} received for {messages} messages");
    pair.assert_equal(context);
    pair.assert_settled(context);
}

const TREE: [&str; 10] =
    ["Old", "Old/a", "Old/b", "Old/b/c", "Old/b/d", "Old/e", "Old/f", "Old/g", "Old/g/h", "Old/g/h/i"];

/// Removes the tree, renamed, from the server.
fn remove_tree(client: &mut crate::world::client::Client) {
    TREE.iter().rev().for_each(|name| client.delete_mailbox(&name.replacen("Old", "New", 1)));
}

fn move_file(tree: &Tree, message: &crate::world::maildir::Message, to: &str, name: &str) {
    fs::rename(&message.path, tree.dir(to).join("cur").join(name)).unwrap();
}

#[test]
fn moved_here_as_mv_and_as_mutt_do() {
    on_each_server(|case| {
        let (pair, which) = (case.filled(case.many), case.which);
        let before = pair.tree.snapshot();
        for (n, message) in pair.tree.messages("From").into_iter().enumerate() {
            // mv keeps the name, mutt gives another; some are flagged on the way.
            let letters = if n % 5 == 0 { format!("F{}", message.letters()) } else { message.letters() };
            let keyword = letters.replace(char::is_lowercase, "");
            let unique = message.name();
            let unique = unique.split(":2,").next().unwrap();
            match n % 2 {
                0 => move_file(&pair.tree, &message, "To", &format!("{unique}:2,{keyword}")),
                _ => move_file(&pair.tree, &message, "To", &format!("1700000000.R{n}.host:2,{keyword}")),
            }
        }
        sync_without_bodies(&pair, which);
        let after = pair.tree.snapshot();
        assert_eq!((after.0["From"].len(), after.0["To"].len()), (0, case.many), "{which}");
        let flagged = after.0["To"].iter().filter(|m| m.flags.contains("\\Flagged")).count();
        assert_eq!(flagged, case.many / 5, "{which}");
        let contents = |messages: &[crate::world::compare::Seen]| {
            let mut all: Vec<_> = messages.iter().map(|m| m.content).collect();
            all.sort();
            all
        };
        assert_eq!(contents(&before.0["From"]), contents(&after.0["To"]), "{which}");
    });
}

#[test]
fn moved_on_the_server() {
    on_each_server(|case| {
        let (pair, which) = (case.filled(case.many), case.which);
        let mut client = case.server.client();
        client.store("From", "1:10", "+FLAGS (\\Flagged)");
        client.move_to("From", "1:*", "To");
        let dates = |tree: &Tree, mailbox: &str| {
            let modified = |m: &crate::world::maildir::Message| fs::metadata(&m.path).unwrap().modified().unwrap();
            let mut all: Vec<_> = tree.messages(mailbox).iter().map(modified).collect();
            all.sort();
            all
        };
        let before = dates(&pair.tree, "From");
        sync_without_bodies(&pair, which);
        assert_eq!(before, dates(&pair.tree, "To"), "{which}: dates");
        let after = pair.tree.snapshot();
        assert_eq!((after.0["From"].len(), after.0["To"].len()), (0, case.many), "{which}");
        assert_eq!(after.0["To"].iter().filter(|m| m.flags.contains("work")).count(), case.many.div_ceil(3), "{which}");
    });
}

#[test]
fn copied_on_each_side() {
    on_each_server(|case| {
        let (pair, which) = (case.filled(case.many), case.which);
        let mut client = case.server.client();
        client.copy_to("From", "1:*", "To");
        for message in pair.tree.messages("From") {
            fs::copy(&message.path, pair.tree.dir("INBOX").join("cur").join(message.name())).unwrap();
        }
        sync_without_bodies(&pair, which);
        let after = pair.tree.snapshot();
        assert_eq!([after.0["From"].len(), after.0["To"].len(), after.0["INBOX"].len()], [case.many; 3], "{which}");
    });
}

/// A tree of ten mailboxes with `each` messages in each.
fn with_tree_of_mailboxes(pair: &Pair<'_>, each: usize) {
    let mut client = pair.server.client();
    let mut generator = Generator::new(12);
    for name in TREE {
        client.create(name);
        for _ in 0..each {
            client.append(name, &generator.sized(SIZE), &["\\Seen"]);
        }
    }
    pair.sync();
    pair.assert_settled("a tree of mailboxes");
}

#[test]
fn a_tree_of_mailboxes_renamed_here() {
    on_each_server(|case| {
        for (layout, each) in [(Layout::Nested, case.many / 10), (Layout::MaildirPlusPlus, 10)] {
            let pair = case.pair(layout);
            with_tree_of_mailboxes(&pair, each);
            for (name, dir) in pair.tree.mailboxes() {
                if name == "Old" || (layout == Layout::MaildirPlusPlus && name.starts_with("Old/")) {
                    fs::rename(dir, pair.tree.dir(&name.replacen("Old", "New", 1))).unwrap();
                }
            }
            let log = case.server.wire_log().mark();
            let context = format!("{}, {layout:?}", case.which);
            sync_without_bodies(&pair, &context);
            let changing = log.changing_commands();
            assert!(changing.iter().any(|c| c.starts_with("RENAME")), "{context}: {changing:?}");
            assert!(
                !changing.iter().any(|c| c.starts_with("CREATE") || c.starts_with("DELETE")),
                "{context}: {changing:?}"
            );
            let names: Vec<String> = pair.tree.mailboxes().into_keys().collect();
            assert!(names.contains(&"New/b/c".to_owned()) && !names.contains(&"Old".to_owned()), "{names:?}");
            remove_tree(&mut case.server.client());
        }
    });
}

#[test]
fn a_tree_of_mailboxes_renamed_on_the_server() {
    on_each_server(|case| {
        for (layout, each) in [(Layout::Nested, case.many / 10), (Layout::MaildirPlusPlus, 10)] {
            let context = format!("{}, {layout:?}", case.which);
            let pair = case.pair(layout);
            with_tree_of_mailboxes(&pair, each);
            case.server.client().rename("Old", "New");
            let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(pair.tree.dir(name)).unwrap());
            let before = inode("Old/b");
            sync_without_bodies(&pair, &context);
            assert_eq!(inode("New/b"), before, "{context}: the directory was renamed");
            assert!(!pair.tree.mailboxes().contains_key("Old"), "{context}");
            remove_tree(&mut case.server.client());
        }
    });
}

#[test]
fn moved_here_while_it_is_flagged_or_deleted_there() {
    let dovecot = Dovecot::start();
    let pair = filled(Pair::new(&dovecot), MANY);
    let mut client = dovecot.client();
    let uids: Vec<u32> = client.uids("From").into_keys().collect();
    client.store("From", &uids[0].to_string(), "+FLAGS (\\Answered later)");
    client.remove("From", &uids[1].to_string());
    for message in pair.tree.messages("From") {
        let name = message.name().replace(char::is_lowercase, "x");
        move_file(&pair.tree, &message, "To", &name);
    }
    pair.sync();
    pair.assert_equal("both at once");
    let after = pair.tree.snapshot();
    assert_eq!((after.0["From"].len(), after.0["To"].len()), (0, MANY), "a move wins over a deletion");
    assert!(after.0["To"].iter().any(|m| m.flags.contains("\\Answered") && m.flags.contains("later")));
    pair.assert_settled("both at once");
}

#[test]
fn two_moves_to_different_places_both_happen() {
    let dovecot = Dovecot::start();
    let pair = filled(Pair::new(&dovecot), MANY);
    let mut client = dovecot.client();
    client.create("There");
    client.move_to("From", "1:*", "There");
    for message in pair.tree.messages("From") {
        move_file(&pair.tree, &message, "To", &message.name());
    }
    pair.sync();
    let after = pair.assert_equal("two moves");
    assert_eq!([after.0["From"].len(), after.0["To"].len(), after.0["There"].len()], [0, MANY, MANY]);
    pair.assert_settled("two moves");
}

#[test]
fn a_new_uidvalidity_a_lost_and_an_old_state_fetch_nothing_anew() {
    let dovecot = Dovecot::start();
    let pair = filled(Pair::new(&dovecot), MANY);
    let states = || fs::read_dir(pair.mailtide.state()).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let old: Vec<_> = states().into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    // The state is lost.
    states().iter().for_each(|path| fs::remove_file(path).unwrap());
    sync_without_bodies(&pair, "state lost");
    // An old one comes back, after some moves.
    let mut client = dovecot.client();
    client.move_to("From", "1:30", "To");
    client.store("To", "1:*", "+FLAGS (\\Flagged)");
    pair.sync();
    states().iter().for_each(|path| fs::remove_file(path).unwrap());
    old.into_iter().for_each(|(bytes, path)| fs::write(path, bytes).unwrap());
    sync_without_bodies(&pair, "state restored");
    drop(client);
    // New UIDs for everything.
    dovecot.wire_log().wait();
    for mailbox in ["From", "To"] {
        for entry in fs::read_dir(dovecot.maildir(mailbox)).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("dovecot.index") || name == "dovecot-uidlist" {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
    sync_without_bodies(&pair, "new UIDs");
    assert_eq!(pair.tree.snapshot().messages(), MANY);
}

#[test]
fn duplicates_of_all_kinds_stay_as_many_as_they_are() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let mut client = dovecot.client();
    let mut generator = Generator::new(14);
    client.create("From");
    client.create("To");
    for kind in [Kind::SharedMessageId, Kind::NoMessageId, Kind::EmptyBody] {
        let message = generator.of(kind);
        for _ in 0..5 {
            client.append("From", &message, &[]);
            // Another content under the same Message-ID.
            client.append("From", &generator.of(kind), &[]);
        }
    }
    pair.sync();
    pair.assert_equal("duplicates");
    client.move_to("From", "1:12", "To");
    let files = pair.tree.messages("From");
    for message in files.iter().rev().take(6) {
        move_file(&pair.tree, message, "INBOX", &message.name());
    }
    pair.sync();
    pair.assert_equal("duplicates moved");
    pair.assert_settled("duplicates moved");
    fs::read_dir(pair.mailtide.state()).unwrap().for_each(|e| fs::remove_file(e.unwrap().path()).unwrap());
    let before = pair.tree.snapshot();
    pair.sync();
    assert_eq!(pair.assert_equal("state lost"), before);
    pair.assert_settled("state lost");
}

/// The mailbox that a message moved to cannot be renamed here yet: what it left is not done with before it is.
#[test]
fn what_moved_to_a_mailbox_that_cannot_follow_yet_follows_with_it() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let mut client = dovecot.client();
    client.append("INBOX", &Generator::new(16).sized(SIZE), &[]);
    let pair = filled(pair, 3);
    client.rename("From", "New");
    client.move_to("INBOX", "1", "New");
    let in_the_way = pair.tree.dir("New");
    fs::write(&in_the_way, "no mailbox").unwrap();
    pair.try_sync(&[]).expect(1);
    fs::remove_file(&in_the_way).unwrap();
    sync_without_bodies(&pair, "renamed at last");
    assert_eq!(pair.tree.messages("New").len(), 4);
}

/// Of two that are alike, one is deleted here and the other there: the message that is left takes the file that is left, and
/// is still known by when it arrived itself.
#[test]
fn of_two_alike_the_message_that_is_left_is_known_as_before() {
    on_each_server(|case| {
        let (pair, which) = (case.filled(0), case.which);
        let message = Generator::new(15).sized(SIZE);
        for (n, days) in [("1700000000.first", 1), ("1700000000.second", 2)] {
            let file = pair.tree.deliver("From", n, &message, Some("S"));
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 + days * 86_400);
            fs::File::options().write(true).open(file.path).unwrap().set_modified(at).unwrap();
        }
        // Without UIDPLUS the second run finds out which UIDs they have.
        pair.sync();
        pair.sync();
        let mut client = pair.server.client();
        let uids: Vec<u32> = client.uids("From").into_keys().collect();
        let (first, second) = (uids[0].to_string(), uids[1].to_string());
        pair.tree.messages("From").into_iter().find(|m| m.name().contains("first")).unwrap().delete();
        client.remove("From", &second);
        sync_without_bodies(&pair, which);
        client.move_to("From", &first, "To");
        sync_without_bodies(&pair, which);
        let after = pair.tree.snapshot();
        assert_eq!((after.0["From"].len(), after.0["To"].len()), (0, 1), "{which}");
    });
}

#[test]
fn a_tree_put_back_from_an_older_copy_deletes_nothing() {
    let dovecot = Dovecot::start();
    let pair = filled(Pair::new(&dovecot), MANY);
    let copy = pair.scratch.path().join("copy");
    let cp = |from: &std::path::Path, to: &std::path::Path| {
        let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        assert!(status.success());
    };
    cp(&pair.tree.root, &copy);
    // Three arrive, one is read, a mailbox is made: a few, which no guard would mind losing.
    let mut client = dovecot.client();
    let mut generator = Generator::new(15);
    for mailbox in ["From", "To", "Late"] {
        if mailbox == "Late" {
            client.create("Late");
        }
        client.append(mailbox, &generator.of(Kind::Plain), &[]);
    }
    client.store("From", "2", "+FLAGS (\\Seen)");
    // By now the directories' times are trusted: a run that delivers into them goes on knowing the old ones.
    let settled = |root: &std::path::Path| {
        let cur = root.join("From/cur").metadata().unwrap();
        let changed = std::time::UNIX_EPOCH + std::time::Duration::from_secs(cur.ctime() as u64);
        changed.elapsed().unwrap() > std::time::Duration::from_secs(4)
    };
    while !settled(&pair.tree.root) {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    pair.sync();
    let whole = pair.assert_equal("before");
    put_back_in_place(&copy, &pair.tree.root);
    let planned = pair.planned();
    assert!(!planned.iter().any(|a| a["action"] == "delete" || a["action"] == "remove-mailbox"), "{planned:#?}");
    pair.sync().says(&["older copy"]);
    assert_eq!(pair.assert_equal("put back"), whole);
    pair.assert_settled("put back");
    // From here on a deletion is one again.
    pair.tree.messages("Late").into_iter().for_each(crate::world::maildir::Message::delete);
    pair.sync();
    assert_eq!(pair.assert_equal("deleted").0["Late"].len(), 0);
}

/// Puts an older copy of a tree back as `rsync -a --delete` does: directories stay the same, and get their old times.
fn put_back_in_place(copy: &std::path::Path, tree: &std::path::Path) {
    for entry in fs::read_dir(tree).unwrap().map(|e| e.unwrap().path()) {
        let old = copy.join(entry.file_name().unwrap());
        match (entry.is_dir(), old.exists()) {
            (true, true) => put_back_in_place(&old, &entry),
            (true, false) => fs::remove_dir_all(&entry).unwrap(),
            (false, _) => fs::remove_file(&entry).unwrap(),
        }
    }
    let status = std::process::Command::new("cp").arg("-a").arg(copy.join(".")).arg(tree).status().unwrap();
    assert!(status.success());
}
