//! Moves and renames on one side while the other side does something else with the same: each has one result, and no mail
//! is lost. What it is stands in mailtide(1), *MOVES AND CONFLICTS*.

use std::fs;

use crate::world::dovecot::{Dovecot, on_both};
use crate::world::mail::{Generator, Kind, with_lf};
use crate::world::pair::{Pair, Setting};
use crate::world::proxy::{Manner, Proxy, Trouble};
use crate::world::server::Server;

const MANY: usize = 12;

/// A pair with `MANY` messages in `From`, and an empty `To`.
fn filled(server: &dyn Server) -> Pair<'_> {
    let pair = Pair::new(server);
    let (mut client, mut generator) = (server.client(), Generator::new(71));
    client.create("From");
    client.create("To");
    for _ in 0..MANY {
        client.append("From", &generator.of(Kind::Plain), &["\\Seen"]);
    }
    pair.sync();
    pair.assert_settled("filled");
    pair
}

#[test]
fn moved_there_while_it_is_flagged_or_deleted_here() {
    on_both(|dovecot| {
        let pair = filled(dovecot);
        dovecot.client().move_to("From", "1:*", "To");
        let mut files = pair.tree.messages("From").into_iter();
        files.next().unwrap().set_letters("FS");
        // Unread again.
        files.next().unwrap().set_letters("");
        files.next().unwrap().delete();
        pair.sync();
        let after = pair.assert_equal("moved there");
        assert_eq!((after.0["From"].len(), after.0["To"].len()), (0, MANY), "a move wins over a deletion");
        let has = |flag: &str| after.0["To"].iter().filter(|m| m.flags.contains(flag)).count();
        assert_eq!((has("\\Flagged"), has("\\Seen")), (1, MANY - 1), "flags come along");
        pair.assert_settled("moved there");
    });
}

#[test]
fn moved_there_and_copied_or_moved_elsewhere_here() {
    on_both(|dovecot| {
        let pair = filled(dovecot);
        dovecot.client().create("Else");
        pair.sync();
        dovecot.client().move_to("From", "1:*", "To");
        for (n, message) in pair.tree.messages("From").into_iter().enumerate() {
            let to = pair.tree.dir("Else").join("cur").join(message.name());
            match n % 2 {
                0 => fs::rename(&message.path, to).unwrap(),
                _ => _ = fs::copy(&message.path, to).unwrap(),
            }
        }
        pair.sync();
        let after = pair.assert_equal("two places");
        assert_eq!([after.0["From"].len(), after.0["To"].len(), after.0["Else"].len()], [0, MANY, MANY]);
        pair.assert_settled("two places");
    });
}

#[test]
fn renamed_here_onto_a_name_that_came_into_use_there() {
    on_both(|dovecot| {
        let pair = filled(dovecot);
        let mut client = dovecot.client();
        client.create("New");
        client.append("New", &Generator::new(72).of(Kind::Plain), &[]);
        fs::rename(pair.tree.dir("From"), pair.tree.dir("New")).unwrap();
        pair.sync();
        let after = pair.assert_equal("in use there");
        assert_eq!(after.0["New"].len(), MANY + 1);
        assert!(!after.0.contains_key("From"), "{:?}", after.0.keys());
        pair.assert_settled("in use there");
    });
}

#[test]
fn renamed_there_onto_a_name_that_came_into_use_here() {
    on_both(|dovecot| {
        let pair = filled(dovecot);
        dovecot.client().rename("From", "New");
        pair.tree.create_mailbox("New");
        let mine = Generator::new(73).of(Kind::Plain);
        pair.tree.deliver("New", "1700000000.M1P1.host", &with_lf(&mine), Some("S"));
        pair.sync();
        let after = pair.assert_equal("in use here");
        assert_eq!(after.0["New"].len(), MANY + 1);
        assert!(!after.0.contains_key("From"), "{:?}", after.0.keys());
        pair.assert_settled("in use here");
    });
}

#[test]
fn one_mailbox_takes_the_place_of_another() {
    on_both(|dovecot| {
        for there in [true, false] {
            let pair = filled(dovecot);
            let mut client = dovecot.client();
            client.append("To", &Generator::new(74).of(Kind::Plain), &[]);
            pair.sync();
            if there {
                client.delete_mailbox("To");
                client.rename("From", "To");
            } else {
                fs::remove_dir_all(pair.tree.dir("To")).unwrap();
                fs::rename(pair.tree.dir("From"), pair.tree.dir("To")).unwrap();
            }
            pair.sync();
            let after = pair.assert_equal("replaced");
            // Nobody can tell on the server what was deleted from what was numbered anew: that mail stays.
            assert_eq!(after.0["To"].len(), if there { MANY + 1 } else { MANY }, "there: {there}");
            assert!(!after.0.contains_key("From"), "{:?}", after.0.keys());
            pair.assert_settled("replaced");
            client.delete_mailbox("To");
        }
    });
}

#[test]
fn renamed_on_one_side_and_removed_on_the_other() {
    on_both(|dovecot| {
        for there in [true, false] {
            let pair = filled(dovecot);
            let mut client = dovecot.client();
            if there {
                client.rename("From", "New");
                fs::remove_dir_all(pair.tree.dir("From")).unwrap();
            } else {
                fs::rename(pair.tree.dir("From"), pair.tree.dir("New")).unwrap();
                client.delete_mailbox("From");
            }
            pair.sync();
            let after = pair.assert_equal("removed");
            assert_eq!((after.0["New"].len(), after.0.contains_key("From")), (MANY, false), "there: {there}");
            pair.assert_settled("removed");
            ["New", "To"].iter().for_each(|name| client.delete_mailbox(name));
        }
    });
}

#[test]
fn renamed_to_two_names_at_once() {
    on_both(|dovecot| {
        let pair = filled(dovecot);
        dovecot.client().rename("From", "There");
        fs::rename(pair.tree.dir("From"), pair.tree.dir("Here")).unwrap();
        pair.sync();
        let after = pair.assert_equal("two names");
        assert_eq!([after.0["Here"].len(), after.0["There"].len()], [MANY, MANY], "as with messages, both happen");
        assert!(!after.0.contains_key("From"), "{:?}", after.0.keys());
        pair.assert_settled("two names");
    });
}

/// The message that was to move has nothing else in its old mailbox to draw a look there.
#[test]
fn moved_there_into_a_mailbox_that_cannot_be_renamed_here() {
    on_both(|dovecot| {
        let pair = filled(dovecot);
        let mut client = dovecot.client();
        client.append("To", &Generator::new(74).of(Kind::Plain), &[]);
        pair.sync();
        client.rename("From", "New");
        client.move_to("To", "1:*", "New");
        let in_the_way = pair.tree.dir("New");
        fs::write(&in_the_way, "no mailbox").unwrap();
        assert_ne!(pair.try_sync(&[]).code(), 0, "it cannot be renamed");
        fs::remove_file(&in_the_way).unwrap();
        pair.sync();
        let after = pair.assert_equal("moved there");
        assert_eq!((after.0["To"].len(), after.0["New"].len()), (0, MANY + 1));
        pair.assert_settled("moved there");
    });
}

#[test]
fn an_append_whose_reply_was_lost_is_found_again() {
    on_both(|dovecot| {
        let proxy = |cut: u64| {
            let to_client = Trouble::CutAfter(cut);
            Proxy::start(dovecot.port(), Manner { to_client, heals_at: None, ..Manner::default() })
        };
        let generator = &mut Generator::new(75);
        let mut pair = Pair::new(dovecot);
        pair.mailtide.hurries = true;
        pair.tree.create_mailbox("INBOX");
        pair.sync();
        let mut sent = 0;
        // The line ends after each number of octets that the server has said: before an APPEND, in its reply, behind it.
        for cut in (400..3000).step_by(500) {
            for n in 0..3 {
                // Three of one Message-ID, two of them equal.
                let message = if n == 1 { generator.of(Kind::SharedMessageId) } else { equal(sent) };
                let name = format!("1700000{sent:03}.M{n}P1.host");
                pair.tree.deliver("INBOX", &name, &with_lf(&message), Some("S"));
            }
            sent += 3;
            let proxy = proxy(cut);
            let setting = Setting { through: Some(proxy.port()), ..Setting::default() };
            pair.configure(&setting);
            let log = dovecot.wire_log().mark();
            let _ = pair.try_sync(&[]);
            log.wait();
            pair.configure(&Setting::default());
            pair.sync();
            let after = pair.assert_equal(&format!("cut after {cut}"));
            assert_eq!(after.0["INBOX"].len(), sent, "cut after {cut}");
        }
        pair.assert_settled("replies lost");
    });
}

fn equal(n: usize) -> Vec<u8> {
    format!("Subject: {n}\r\nMessage-ID: <shared@example.org>\r\n\r\n{n}\r\n").into_bytes()
}

/// The mailbox is gone here and made anew there; while a directory is dark it may be that one, so nothing is concluded, and
/// what was known of its UIDs is not taken for the new ones.
#[test]
fn a_mailbox_removed_here_and_made_anew_there_waits_for_a_dark_directory() {
    for few in [false, true] {
        let dovecot = if few { Dovecot::showing("IMAP4rev1") } else { Dovecot::start() };
        let pair = Pair::new(&dovecot);
        let (mut client, mut generator) = (dovecot.client(), Generator::new(91));
        for mailbox in ["Old", "Dark"] {
            client.create(mailbox);
            (0..3).for_each(|_| client.append(mailbox, &generator.of(Kind::Plain), &[]));
        }
        pair.sync();
        fs::remove_dir_all(pair.tree.dir("Old")).unwrap();
        client.delete_mailbox("Old");
        client.create("Old");
        client.append("Old", &generator.of(Kind::Plain), &[]);
        // As where it cannot be read; that hinders no root.
        let (cur, away) = (pair.tree.dir("Dark").join("cur"), pair.tree.dir("Dark").join("away"));
        fs::rename(&cur, &away).unwrap();
        assert_eq!(pair.try_sync(&[]).code(), 1);
        fs::rename(&away, &cur).unwrap();
        pair.sync().says(&["1 new"]);
        pair.assert_settled("in sight again");
        assert_eq!((client.uids("Old").len(), client.uids("Dark").len()), (1, 3));
    }
}

/// What moved on the server while the directory it was in, or comes to, is dark waits until it can be looked at, and has the
/// flags that were set in the tree.
#[test]
fn moved_there_while_its_directory_is_dark_keeps_the_flags_set_here() {
    on_both(|dovecot| {
        for dark in ["From", "To"] {
            let (pair, mut generator) = (filled(dovecot), Generator::new(75));
            // An empty one would be completed.
            dovecot.client().append("To", &generator.of(Kind::Plain), &[]);
            pair.sync();
            pair.tree.messages("From").iter_mut().take(3).for_each(|file| file.set_letters("FS"));
            let mut client = dovecot.client();
            client.move_to("From", "1:*", "To");
            // What is new all the same arrives where it can.
            client.append("To", &generator.of(Kind::Plain), &[]);
            let (cur, away) = (pair.tree.dir(dark).join("cur"), pair.tree.dir(dark).join("away"));
            fs::rename(&cur, &away).unwrap();
            assert_eq!(pair.try_sync(&[]).code(), 1, "{dark}");
            let arrived = if dark == "From" { 2 } else { 1 };
            assert_eq!(pair.tree.messages("To").len(), arrived, "{dark}");
            fs::rename(&away, &cur).unwrap();
            pair.sync();
            let after = pair.assert_equal(dark);
            assert_eq!((after.0["From"].len(), after.0["To"].len()), (0, MANY + 2), "{dark}");
            let flagged = after.0["To"].iter().filter(|m| m.flags.contains("\\Flagged")).count();
            assert_eq!(flagged, 3, "{dark}");
            pair.assert_settled(dark);
            ["From", "To"].iter().for_each(|name| client.delete_mailbox(name));
        }
    });
}
