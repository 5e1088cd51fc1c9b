//! A maildrop into the tree: what comes, what stays on the server, what is known again.

use std::fs;

use super::world::cyrus::Cyrus;
use super::world::dovecot::Dovecot;
use super::world::mail::{Generator, Kind};
use super::world::maildir::Message;
use super::world::maildrop::{Fault, Maildrop, crlf_ended};
use super::world::post::Post;
use super::world::server::{PASSWORD, Server, USER};

const DAY: i64 = 24 * 3600;

/// Mail of every kind, CRLF-ended.
fn mail(seed: u64, many: usize) -> Vec<Vec<u8>> {
    let mut generator = Generator::new(seed);
    (0..many).map(|n| crlf_ended(&generator.of(Kind::ALL[n % Kind::ALL.len()]))).collect()
}

fn fetched(maildrop: &Maildrop) -> usize {
    maildrop.heard_times("RETR")
}

#[test]
fn mail_comes_once_and_stays() {
    let mail = mail(1, 40);
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "");
    let loud = post.run("sync", &["-vvv"]).expect(0).says(&["home: in sync: 40 new", "sent: RETR 40", "heard: +OK"]);
    assert!(!loud.stderr.contains(PASSWORD) && !loud.stderr.contains("AUTH PLAIN "), "{}", loud.stderr);
    post.assert_holds(&mail, "first run");
    post.sync().says(&["nothing changed"]);
    assert_eq!((fetched(&maildrop), maildrop.messages().len()), (40, 40));
    assert_eq!(maildrop.heard_times("DELE"), 0);

    // What happens in the tree is nobody's business on the server.
    post.tree.messages("INBOX").remove(0).delete();
    maildrop.deliver(b"Subject: late\r\n\r\nx\r\n");
    post.sync();
    assert_eq!((fetched(&maildrop), post.mail().len(), maildrop.messages().len()), (41, 40, 41));
}

#[test]
fn mail_that_is_not_kept_goes_in_portions() {
    let mail: Vec<Vec<u8>> =
        (0..2300).map(|n| format!("Message-ID: <{n}@x>\r\n\r\nbody {n}\r\n").into_bytes()).collect();
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "keep = false");
    post.run("sync", &["-n"]).expect(0).says(&["← + 2,300 messages", "→ - 2,300 messages: number 1:2300"]);
    assert_eq!((fetched(&maildrop), post.tree.root.exists()), (0, false));
    post.sync().says(&["2,300 new", "2,300 deleted on the server"]);
    post.assert_holds(&mail, "all of it");
    assert_eq!((maildrop.messages().len(), fetched(&maildrop)), (0, 2300));
    // The dry run had one session too.
    assert_eq!(maildrop.heard().len(), 4);
    post.sync().says(&["nothing changed"]);
}

#[test]
fn mail_is_kept_for_as_long_as_it_says() {
    let maildrop = Maildrop::start(&mail(2, 10));
    let post = Post::new(&maildrop, "keep = \"14d\"");
    post.sync();
    post.age(14 * DAY - 60);
    maildrop.deliver(b"Subject: young\r\n\r\nx\r\n");
    post.sync().says(&["1 new"]);
    assert_eq!(maildrop.messages().len(), 11);
    post.age(60);
    let listed = post.run("pop", &["home", "--list"]).expect(0);
    assert_eq!(listed.stdout.matches("due for deletion").count(), 10, "{}", listed.stdout);
    assert_eq!(listed.stdout.matches("14 d").count(), 10, "{}", listed.stdout);
    post.sync().says(&["10 deleted on the server"]);
    assert_eq!((maildrop.messages().len(), post.mail().len()), (1, 11));
    // A server that forgot the deletion brings nothing twice.
    maildrop.deliver(b"Subject: another\r\n\r\nx\r\n");
    post.sync();
    assert_eq!(post.mail().len(), 12);
}

/// Where a run fetches no more than so many, those that are refused each time do not keep the others away.
#[test]
fn refused_messages_do_not_use_up_the_limit_for_ever() {
    let mail = mail(5, 6);
    let refuse = |number| Fault::RefuseRetr { number, words: "-ERR damaged" };
    let maildrop = Maildrop::start(&mail);
    maildrop.trouble(&[refuse(1), refuse(2)]);
    let post = Post::new(&maildrop, "max-messages = 2");
    post.run("sync", &[]).expect(1);
    post.run("sync", &[]).expect(1).says(&["2 new"]);
    post.run("sync", &[]).expect(1).says(&["2 new"]);
    post.assert_holds(&mail[2..], "all but the refused ones");
}

#[test]
fn limits_leave_mail_for_later() {
    let mut mail = mail(3, 6);
    mail.push(format!("Subject: large\r\n\r\n{}\r\n", "x".repeat(900).repeat(200)).into_bytes());
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "max-size = \"100k\"\nmax-messages = 4\norder = \"newest\"");
    post.run("sync", &["--dry-run"]).expect(0).says(&["4 messages", "beyond `max-messages`: number 1:2"]);
    post.sync().says(&["4 new"]);
    let mut newest = mail[2..6].to_vec();
    newest.sort_unstable();
    assert_eq!(post.mail(), newest);
    let states = |out: &str| -> Vec<String> {
        out.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|v| v["state"].to_string())
            .collect()
    };
    let listed = post.run("pop", &["--list", "--json"]).expect(0).stdout;
    assert_eq!(
        states(&listed),
        ["new", "new", "kept", "kept", "kept", "kept", "too large"].map(|s| format!("\"{s}\""))
    );
    post.sync().says(&["2 new"]);
    post.assert_holds(&mail[..6], "all but the large one");
    post.configure("");
    post.sync().says(&["1 new"]);
    post.assert_holds(&mail, "all");
    // What is here is kept, whatever the limit is by now.
    post.configure("max-size = \"100k\"");
    let listed = post.run("pop", &["--list", "--json"]).expect(0).stdout;
    assert_eq!(states(&listed), ["\"kept\""; 7]);
}

#[test]
fn what_is_deleted_here_is_deleted_there_when_asked_for() {
    let mail = mail(4, 60);
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "delete-after-local-deletion = true");
    post.sync();
    // Moved, by its name and by another one; read; deleted.
    post.tree.create_mailbox("Kept");
    let mut messages = post.tree.messages("INBOX");
    let moved = |message: Message, name: &str| {
        fs::rename(&message.path, post.tree.dir("Kept").join("cur").join(name)).unwrap();
    };
    let first = messages.remove(0);
    let name = format!("{}:2,S", first.path.file_name().unwrap().to_str().unwrap());
    moved(first, &name);
    moved(messages.remove(0), "1700000000.new_name.host:2,");
    messages[0].set_letters("ST");
    let gone: Vec<Vec<u8>> = messages
        .drain(1..6)
        .map(|m| {
            let bytes = m.bytes();
            m.delete();
            bytes
        })
        .collect();
    assert_eq!(gone.len(), 5);
    post.run("sync", &["-n"]).expect(0).says(&["→ - 5 messages"]);
    post.sync().says(&["5 deleted on the server"]);
    assert_eq!((maildrop.messages().len(), post.mail().len(), fetched(&maildrop)), (55, 53, 60));

    // More than the guard lets through, and the whole of it.
    post.tree.messages("INBOX").into_iter().take(40).for_each(Message::delete);
    let refused = post.try_sync().expect(6).says(&["40 of 55 messages would be deleted on the server"]);
    refused.says(&["--allow-deletions INBOX"]);
    assert_eq!(maildrop.messages().len(), 55);
    post.run("sync", &["--allow-deletions", "INBOX"]).expect(0).says(&["40 deleted"]);
    assert_eq!((maildrop.messages().len(), fetched(&maildrop)), (15, 60));

    // All of it: nothing new comes before that is decided, or the tree would look less empty.
    let aside = post.scratch.path().join("all");
    fs::rename(post.tree.dir("Kept"), &aside).unwrap();
    let inbox: Vec<_> = post.tree.messages("INBOX").into_iter().map(|m| (m.path.clone(), m.bytes())).collect();
    inbox.iter().for_each(|(path, _)| fs::remove_file(path).unwrap());
    maildrop.deliver(b"Subject: new\r\n\r\nx\r\n");
    for _ in 0..2 {
        post.try_sync().expect(6).says(&["15 of 15 messages would be deleted on the server"]);
        assert_eq!((maildrop.messages().len(), post.mail().len()), (16, 0));
    }
    let listed = post.run("pop", &["--list"]).expect(0).stdout;
    assert_eq!((listed.matches(" kept ").count(), listed.matches("waits for a decision").count()), (15, 1), "{listed}");
    fs::rename(&aside, post.tree.dir("Kept")).unwrap();
    inbox.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    post.sync().says(&["1 new"]);
    assert_eq!(maildrop.messages().len(), 16);

    // An unmounted tree is no deleted mail.
    fs::rename(&post.tree.root, post.scratch.path().join("aside")).unwrap();
    post.try_sync().expect(3).says(&["The Maildir tree is missing"]);
    fs::create_dir(&post.tree.root).unwrap();
    post.try_sync().expect(3).says(&["no `.mailtide-"]);
    assert_eq!(maildrop.messages().len(), 16);
}

#[test]
fn an_older_copy_of_the_tree_deletes_nothing_and_is_filled_again() {
    let maildrop = Maildrop::start(&mail(5, 6));
    let post = Post::new(&maildrop, "delete-after-local-deletion = true");
    post.sync();
    let copy = post.scratch.path().join("copy");
    let cp = |from: &std::path::Path, to: &std::path::Path| {
        assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    };
    cp(&post.tree.root, &copy);
    for n in 0..3 {
        maildrop.deliver(format!("Subject: {n}\r\n\r\nx\r\n").as_bytes());
        post.sync();
    }
    let all = post.mail();
    fs::remove_dir_all(&post.tree.root).unwrap();
    cp(&copy, &post.tree.root);
    post.sync().says(&["older copy", "3 new"]);
    assert_eq!((post.mail(), maildrop.messages().len()), (all, 9));
    post.tree.messages("INBOX").remove(0).delete();
    post.sync().says(&["1 deleted on the server"]);
}

#[test]
fn a_lost_state_costs_next_to_no_body() {
    let mail = mail(6, 30);
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "");
    post.sync();
    post.tree.create_mailbox("Kept");
    let moved = post.tree.messages("INBOX").remove(3).path;
    fs::rename(&moved, post.tree.dir("Kept").join("new").join(moved.file_name().unwrap())).unwrap();
    fs::remove_dir_all(post.mailtide.state()).unwrap();
    post.sync().says(&["30 of the tree's files", "known again"]);
    // A unique id may be another message's by now: where the header does not tell, the body is compared.
    let nameless = mail.iter().filter(|m| !m.windows(11).any(|w| w.eq_ignore_ascii_case(b"message-id:"))).count();
    assert_eq!((fetched(&maildrop), post.mail().len()), (30 + nameless, 29));
    post.sync().says(&["nothing changed"]);
    assert_eq!(fetched(&maildrop), 30 + nameless);
}

#[test]
fn mail_that_another_program_has_fetched_is_known() {
    let mail = mail(13, 40);
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "");
    post.tree.create_mailbox("INBOX");
    // All but the first few, some of them read; and one that never was in the maildrop.
    let file = |bytes: &[u8]| super::world::mail::with_lf(bytes);
    for (n, bytes) in mail.iter().enumerate().skip(4) {
        post.tree.deliver("INBOX", &format!("17000000{n:02}.M1P2.host"), &file(bytes), (n % 3 == 0).then_some("S"));
    }
    let other = b"Message-ID: <other@x>\r\n\r\nanother\r\n".to_vec();
    post.tree.deliver("INBOX", "1700000100.M1P2.host", &file(&other), None);
    let planned = post.run("sync", &["-n"]).expect(0);
    assert!(!post.mailtide.state().join("home.sqlite").exists());
    planned.says(&["known by the header"]);
    post.sync().says(&["4 new"]);
    let all = [mail.clone(), vec![other]].concat();
    post.assert_holds(&all, "first run");
    // Where no header tells, the body does.
    let nameless =
        mail.iter().skip(4).filter(|m| !m.windows(11).any(|w| w.eq_ignore_ascii_case(b"message-id:"))).count();
    assert_eq!(fetched(&maildrop), 4 + nameless);
    post.configure("keep = false");
    post.sync().says(&["40 deleted on the server"]);
    post.assert_holds(&all, "emptied");
    assert_eq!((fetched(&maildrop), maildrop.messages().len()), (4 + nameless, 0));
}

#[test]
fn an_older_copy_of_the_state_brings_nothing_twice() {
    let maildrop = Maildrop::start(&mail(14, 6));
    let post = Post::new(&maildrop, "delete-after-local-deletion = true");
    post.sync();
    let (state, copy) = (post.mailtide.state(), post.scratch.path().join("state-copy"));
    let cp = |from: &std::path::Path, to: &std::path::Path| {
        assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    };
    // One run ago, and several, with a message that the server does not give in each: no run ended well.
    for runs in [1, 3] {
        let _ = fs::remove_dir_all(&copy);
        cp(&state, &copy);
        for n in 0..runs {
            maildrop.deliver(format!("Message-ID: <{runs}.{n}@x>\r\n\r\nx\r\n").as_bytes());
            maildrop.trouble(&[Fault::RefuseRetr { number: maildrop.messages().len(), words: "-ERR no" }]);
            maildrop.deliver(format!("Message-ID: <also.{runs}.{n}@x>\r\n\r\nx\r\n").as_bytes());
            post.try_sync().expect(1);
            maildrop.trouble(&[]);
            post.sync();
        }
        let all = post.mail();
        fs::remove_dir_all(&state).unwrap();
        cp(&copy, &state);
        let before = fetched(&maildrop);
        post.run("sync", &["-n"]).expect(0).says(&[&format!("{} of the tree's files", 2 * runs)]);
        post.sync().says(&[&format!("{} of the tree's files", 2 * runs), "known again"]);
        assert_eq!((post.mail(), fetched(&maildrop)), (all, before), "{runs}");
        post.sync().says(&["nothing changed"]);
    }
}

#[test]
fn a_state_that_was_lost_is_no_older_one_afterwards() {
    let maildrop = Maildrop::start(&mail(15, 6));
    let post = Post::new(&maildrop, "");
    for n in 0..3 {
        maildrop.deliver(format!("Message-ID: <{n}@x>\r\n\r\nx\r\n").as_bytes());
        post.sync();
    }
    fs::remove_dir_all(post.mailtide.state()).unwrap();
    post.sync();
    post.tree.messages("INBOX").remove(0).delete();
    assert!(!post.sync().says(&["nothing changed"]).stderr.contains("older copy"));
    assert_eq!(post.mail().len(), 8);
}

#[test]
fn mail_of_another_program_is_known_after_a_broken_first_run_and_a_lost_state() {
    let mail = mail(16, 30);
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "");
    post.tree.create_mailbox("INBOX");
    for (n, bytes) in mail.iter().enumerate().skip(10) {
        let name = format!("17000000{n:02}.M1P2.host");
        post.tree.deliver("INBOX", &name, &super::world::mail::with_lf(bytes), None);
    }
    // The first run makes tree and state, and cannot look at what is there.
    let odd = post.tree.dir("INBOX").join("new").join("1700000099.odd.host");
    std::os::unix::fs::symlink("nowhere", &odd).unwrap();
    post.try_sync().expect(3).says(&["it is a symbolic link"]);
    assert!(post.mailtide.state().join("home.sqlite").exists());
    fs::remove_file(&odd).unwrap();
    post.sync();
    post.assert_holds(&mail, "after a broken first run");
    fs::remove_dir_all(post.mailtide.state()).unwrap();
    post.sync();
    post.assert_holds(&mail, "after the state was lost");
}

#[test]
fn files_that_could_not_be_recorded_are_found_by_the_next_run() {
    // More than a batch.
    let mail: Vec<_> = (0..260).map(|n| format!("Message-ID: <{n}@x>\r\n\r\nbody {n}\r\n").into_bytes()).collect();
    let maildrop = Maildrop::start(&mail[..4]);
    let post = Post::new(&maildrop, "");
    post.sync();
    mail[4..].iter().for_each(|bytes| maildrop.deliver(bytes));
    let state = rusqlite::Connection::open(post.mailtide.state().join("home.sqlite")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON message WHEN NEW.serial > 4 BEGIN
        SELECT RAISE(ABORT, 'no room'); END";
    state.execute_batch(refuse).unwrap();
    post.try_sync().expect(3).says(&["no room"]);
    state.execute_batch("DROP TRIGGER refuse").unwrap();
    let there = post.mail().len();
    assert!(there > 4, "{there}");
    // Filed by a program meanwhile.
    post.tree.create_mailbox("Kept");
    let moved = post.tree.messages("INBOX").pop().unwrap().path;
    fs::rename(&moved, post.tree.dir("Kept").join("new").join(moved.file_name().unwrap())).unwrap();
    post.sync().says(&[&format!("{} of the tree's files", there - 4)]);
    assert_eq!((post.mail().len(), post.mail_in("Kept").len()), (259, 1));
    post.sync().says(&["nothing changed"]);
}

#[test]
fn a_server_that_deletes_nothing_keeps_no_new_mail_away() {
    let of = |n: usize| format!("Message-ID: <{n}@x>\r\n\r\nbody {n}\r\n").into_bytes();
    let mail: Vec<Vec<u8>> = (0..1200).map(of).collect();
    for (words, exit) in [("-ERR it is read-only", 1), ("+OK but not really", 0)] {
        let maildrop = Maildrop::start(&mail);
        let post = Post::new(&maildrop, "keep = false");
        maildrop.trouble(&[Fault::NoDele(words)]);
        post.try_sync().expect(exit).says(&["1,200 new"]);
        post.assert_holds(&mail, "all of it");
        maildrop.deliver(&of(1200));
        post.try_sync().expect(exit).says(&["1 new"]);
        assert_eq!((maildrop.messages().len(), post.mail().len(), fetched(&maildrop)), (1201, 1201, 1201));
        maildrop.trouble(&[]);
        post.sync().says(&["1,201 deleted on the server"]);
        assert_eq!(maildrop.messages().len(), 0);
    }
    // Nor one that gives nothing.
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "keep = false");
    maildrop.trouble(&[Fault::saying("RETR", "-ERR no\r\n")]);
    post.try_sync().expect(1).says(&["1,200 failed"]);
}

#[test]
fn several_accounts_share_a_mailbox() {
    let (ours, theirs) = (mail(7, 12), mail(8, 9));
    let drops = [Maildrop::start(&ours), Maildrop::start(&theirs)];
    // Octet for octet the same, in both.
    let shared = b"Message-ID: <same@x>\r\n\r\nthe same\r\n".to_vec();
    drops.iter().for_each(|drop| drop.deliver(&shared));
    let post = Post::new(&drops[0], "");
    let config = |settings: &str| {
        let accounts =
            [post.account("home", drops[0].port(), settings), post.account("club", drops[1].port(), settings)];
        fs::write(&post.config, accounts.concat()).unwrap();
    };
    config("keep = false");
    // At the same time, as two jobs of cron do.
    let runs =
        ["home", "club"].map(|name| post.mailtide.start(&["sync", "--config", post.config.to_str().unwrap(), name]));
    runs.into_iter().for_each(|run| drop(run.wait().expect(0)));
    let all = [ours, theirs, vec![shared.clone(), shared.clone()]].concat();
    post.assert_holds(&all, "each its own");
    assert!(drops.iter().all(|drop| drop.messages().is_empty()));

    config("dedup = true");
    let again = b"Message-ID: <again@x>\r\n\r\nonce\r\n".to_vec();
    drops.iter().for_each(|drop| drop.deliver(&again));
    let runs =
        ["home", "club"].map(|name| post.mailtide.start(&["sync", "--config", post.config.to_str().unwrap(), name]));
    runs.into_iter().for_each(|run| drop(run.wait().expect(0)));
    post.assert_holds(&[all.clone(), vec![again.clone()]].concat(), "once");
    // Within one account there are as many as there are.
    (0..2).for_each(|_| drops[0].deliver(&again));
    post.run("sync", &["home"]).expect(0);
    post.assert_holds(&[all, vec![again.clone(), again.clone(), again]].concat(), "two of them are its own");
    post.sync().says(&["home: in sync, nothing changed", "club: in sync, nothing changed"]);
}

#[test]
fn a_maildrop_feeds_an_imap_account() {
    let dovecot = Dovecot::start();
    let mail = mail(9, 12);
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "keep = false");
    let imap = format!(
        "[accounts.work]\nmaildir = \"{}\"\n[accounts.work.imap]\nhost = \"localhost\"\nport = {}\nca-file = \"{}\"\n\
         user = \"{USER}\"\npassword = {{ env = \"MAILTIDE_PASSWORD\" }}\n",
        post.tree.root.display(),
        dovecot.tls_port(),
        dovecot.ca_file().display()
    );
    fs::write(&post.config, post.account("home", maildrop.port(), "keep = false") + &imap).unwrap();
    post.sync();
    post.run("sync", &["work"]).expect(0).says(&["nothing changed"]);
    post.sync().says(&["home: in sync, nothing changed", "work: in sync, nothing changed"]);
    post.assert_holds(&mail, "in the tree");
    assert_eq!(dovecot.client().uids("INBOX").len(), 12);
}

#[test]
fn servers_without_unique_ids_bring_nothing_twice() {
    let mail = mail(10, 24);
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "");
    for (what, faults) in [
        ("with unique ids", vec![]),
        ("without", vec![Fault::NoUidl]),
        ("other ones", vec![Fault::UidlsWith("new-")]),
        ("one for all", vec![Fault::OneUidl("x")]),
        ("without, and no TOP", vec![Fault::NoUidl, Fault::NoTop]),
        ("without CAPA", vec![Fault::NoCapa]),
        ("with unique ids again", vec![]),
    ] {
        maildrop.trouble(&faults);
        post.sync();
        post.assert_holds(&mail, what);
    }
    // Known by the header: only what has none that tells was fetched to be compared.
    maildrop.trouble(&[]);
    let before = fetched(&maildrop);
    post.sync().says(&["nothing changed"]);
    assert_eq!(fetched(&maildrop), before);
}

/// A real server over each kind of connection.
fn comes_whole(server: &dyn Server, many: usize) {
    let mail = mail(11, many);
    let mut client = server.client();
    mail.iter().for_each(|bytes| client.append("INBOX", bytes, &[]));
    let mut held = many;
    let ca = server.ca_file().display();
    for (keep, port, protection) in [
        ("true", server.pop3_port(), "tls = \"none\"".to_owned()),
        ("\"14d\"", server.pop3_port(), format!("tls = \"stls\"\nca-file = \"{ca}\"")),
        ("false", server.pop3_tls_port(), format!("tls = \"implicit\"\nca-file = \"{ca}\"")),
    ] {
        let post = Post::at(port, "");
        let text = post.account("home", port, &format!("keep = {keep}"));
        fs::write(&post.config, text.replace("tls = \"none\"", &protection)).unwrap();
        post.run("check", &[]).expect(0).says(&["Logged in as me"]);
        post.sync();
        post.assert_holds(&mail, keep);
        held = if keep == "false" { 0 } else { held };
        assert_eq!(server.client().uids("INBOX").len(), held, "keep = {keep}");
        post.sync().says(&["nothing changed"]);
        post.run("mailboxes", &["--json"]).expect(0).says(&[&format!("\"messages\":{held}")]);
    }
}

#[test]
fn dovecot_over_every_connection() {
    comes_whole(&Dovecot::start(), 60);
}

#[test]
fn cyrus_over_every_connection() {
    let Some(cyrus) = Cyrus::start() else { return };
    comes_whole(&cyrus, 60);
}

#[test]
fn a_url_is_enough() {
    let maildrop = Maildrop::start(&mail(12, 3));
    let post = Post::new(&maildrop, "");
    let url = format!("pop3://{USER}@localhost:{}", maildrop.port());
    post.mailtide.run(&["sync", &url, "--maildir", "Mail"]).expect(5).says(&["STLS"]);
    let dovecot = Dovecot::start();
    dovecot.client().append("INBOX", b"Subject: x\r\n\r\ny\r\n", &[]);
    let url = format!("pop3s://{USER}@localhost:{}", dovecot.pop3_tls_port());
    let ca = dovecot.ca_file().display().to_string();
    post.mailtide.run(&["sync", &url, "--maildir", "Mail", "--ca-file", &ca]).expect(0).says(&["1 new"]);
    post.mailtide.run(&["pop", &url, "--maildir", "Mail", "--ca-file", &ca, "--list"]).expect(0).says(&["kept"]);
    assert_eq!(post.mail().len(), 1);
}

/// A name that the mailbox is to have from now on is no reason for a dry run to fail: the run makes it.
#[test]
fn a_dry_run_may_come_before_a_new_mailbox() {
    let mail = mail(20, 6);
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "delete-after-local-deletion = true");
    post.sync();
    post.tree.messages("INBOX").remove(0).delete();
    post.configure("delete-after-local-deletion = true\nmailbox = \"Pop\"");
    post.run("sync", &["-n"]).expect(0).says(&["delete 1 on the server"]);
    post.run("status", &[]).expect(0);
    post.run("pop", &["--list"]).expect(0);
    assert!(!post.tree.dir("Pop").exists());
    post.sync().says(&["1 deleted on the server"]);
    assert!(post.tree.dir("Pop").exists());
    assert_eq!((maildrop.messages().len(), fetched(&maildrop)), (5, 6));
}

#[test]
fn a_run_that_looks_at_nothing_says_so() {
    let maildrop = Maildrop::start(&mail(21, 2));
    let post = Post::new(&maildrop, "");
    for mailbox in ["NoSuch", "!INBOX"] {
        post.run("sync", &["-m", mailbox]).expect(0).says(&["No mailbox is selected; `mailtide mailboxes` shows"]);
    }
    assert_eq!(maildrop.heard().len(), 0);
    post.run("sync", &["--allow-deletions", "Pop"]).expect(0).says(&["2 new", "is called `Pop`; `mailtide mailboxes`"]);
}
