//! Another client moves mail while a run looks from one mailbox into the next, so that the run sees it in two places or
//! in none: the flags set in the tree go with it, nothing is doubled, and the guard has nothing to refuse.

use std::fs;

use crate::world::client::Client;
use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, Kind};
use crate::world::moment::Moment;
use crate::world::pair::{Pair, Setting};
use crate::world::server::Server;

/// So many that a run which took them for deleted would be refused.
const MANY: usize = 24;
/// So few that it would not.
const FEW: usize = 6;

/// A server, whether it tells how mailboxes stand by modification sequences, and whether `From` itself has moved on.
fn on_each(test: impl Fn(&Dovecot, bool)) {
    let (whole, bare) = (Dovecot::start(), Dovecot::showing("IMAP4rev1"));
    test(&whole, false);
    test(&whole, true);
    test(&bare, false);
}

/// A pair with `many` messages in `from` and none in `to`; then both mailboxes have moved on, `from` only if `moved_on`.
fn filled<'s>(dovecot: &'s Dovecot, many: usize, from: &str, to: &str, moved_on: bool) -> Pair<'s> {
    let (mut client, mut generator) = (dovecot.client(), Generator::new(91));
    for name in ["From", "To", "Earlier"] {
        if client.mailboxes().contains(&name.to_owned()) {
            client.delete_mailbox(name);
        }
    }
    client.create(from);
    client.create(to);
    (0..many).for_each(|_| client.append(from, &generator.of(Kind::Plain), &[]));
    let pair = Pair::new(dovecot);
    pair.sync();
    client.append(to, &generator.of(Kind::Plain), &[]);
    if moved_on {
        client.append(from, &generator.of(Kind::Plain), &[]);
    }
    pair
}

/// A run during which another client moves `uids` of `from` to `to`, before the server hears `command`; then another run.
fn moved_before(command: &'static str, pair: &Pair<'_>, (from, uids, to): (&'static str, &'static str, &'static str)) {
    let port = pair.server.port();
    let moment = Moment::before(command, port, move || Client::connect(port, "").move_to(from, uids, to));
    assert!(comes(pair, &moment));
}

/// A run in which the moment may come, and one after it; whether it came.
fn comes(pair: &Pair<'_>, moment: &Moment) -> bool {
    pair.configure(&Setting { through: Some(moment.port()), ..Setting::default() });
    pair.sync();
    let has_come = moment.has_come();
    pair.configure(&Setting::default());
    pair.sync();
    has_come
}

fn flagged(pair: &Pair<'_>, mailbox: &str, context: &str) -> usize {
    let after = pair.assert_equal(context);
    after.0[mailbox].iter().filter(|m| m.flags.contains("\\Flagged")).count()
}

#[test]
fn flags_set_here_go_with_what_is_seen_in_two_places() {
    on_each(|dovecot, moved_on| {
        let pair = filled(dovecot, FEW, "From", "To", moved_on);
        pair.tree.messages("From").into_iter().for_each(|mut m| m.set_letters("F"));
        moved_before("\"To\"", &pair, ("From", "1:*", "To"));
        assert_eq!(flagged(&pair, "To", "two places"), FEW, "moved on: {moved_on}");
        assert_eq!(pair.tree.messages("To").len(), FEW + 1 + usize::from(moved_on));
        pair.assert_settled("two places");
    });
}

#[test]
fn what_is_seen_in_two_places_is_one_message_that_moved() {
    on_each(|dovecot, moved_on| {
        let pair = filled(dovecot, MANY, "From", "To", moved_on);
        moved_before("\"To\"", &pair, ("From", "1:*", "To"));
        let after = pair.assert_equal("one message");
        assert_eq!((after.0["From"].len(), after.0["To"].len()), (0, MANY + 1 + usize::from(moved_on)));
        pair.assert_settled("one message");
    });
}

#[test]
fn what_moves_there_and_here_at_once_is_not_doubled() {
    on_each(|dovecot, moved_on| {
        let pair = filled(dovecot, MANY, "From", "To", moved_on);
        for message in pair.tree.messages("From") {
            fs::rename(&message.path, pair.tree.dir("To").join("cur").join(message.name())).unwrap();
        }
        moved_before("\"To\"", &pair, ("From", "1:*", "To"));
        let after = pair.assert_equal("at once");
        assert_eq!((after.0["From"].len(), after.0["To"].len()), (0, MANY + 1 + usize::from(moved_on)));
        pair.assert_settled("at once");
    });
}

#[test]
fn flags_set_here_go_with_what_is_seen_nowhere() {
    on_each(|dovecot, _| {
        let pair = filled(dovecot, MANY, "From", "Earlier", true);
        pair.tree.messages("From").into_iter().for_each(|mut m| m.set_letters("F"));
        moved_before("\"From\"", &pair, ("From", "1:6", "Earlier"));
        assert_eq!((flagged(&pair, "Earlier", "nowhere"), flagged(&pair, "From", "nowhere")), (6, MANY - 6));
        pair.assert_settled("nowhere");
    });
}

/// A message moves here, and the same one goes elsewhere on the server before it is told: what came to its new place there
/// meanwhile is another.
#[test]
fn what_arrives_where_a_move_came_too_late_is_not_what_was_to_move() {
    for (dovecot, command) in [(Dovecot::start(), "UID MOVE"), (Dovecot::showing("IMAP4rev1"), "UID COPY")] {
        let mut pair = filled(&dovecot, FEW, "From", "To", true);
        pair.mailtide.hurries = true;
        pair.sync();
        let moved = pair.tree.messages("From").remove(0);
        fs::rename(&moved.path, pair.tree.dir("To").join("cur").join(moved.name())).unwrap();
        let port = dovecot.port();
        let moment = Moment::before(command, port, move || {
            let mut client = Client::connect(port, "");
            client.move_to("From", "1", "INBOX");
            client.append("To", &Generator::new(92).of(Kind::Plain), &[]);
        });
        assert!(comes(&pair, &moment));
        let after = pair.assert_equal("too late");
        assert_eq!(after.0["To"].len(), 3, "what was there, what came, and what moved here: {command}");
        pair.assert_settled("too late");
    }
}

#[test]
fn nothing_is_asked_where_nothing_is_in_doubt() {
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot, MANY, "From", "To", true);
    let mut client = dovecot.client();
    let asked = || {
        let log = dovecot.wire_log().mark();
        pair.sync();
        log.commands().into_iter().filter(|command| command.contains("STATUS \"")).collect::<Vec<_>>()
    };
    client.store("From", "1", "+FLAGS (\\Seen)");
    pair.tree.messages("From").into_iter().for_each(|mut m| m.set_letters("F"));
    client.move_to("From", "3", "To");
    assert_eq!(asked(), [""; 0], "new, flagged, moved");
    client.remove("From", "2");
    assert_eq!(asked(), [""; 0], "deleted");
    client.copy_to("From", "4", "To");
    assert_eq!(asked().len(), 1, "a copy may be half of a move");
    pair.assert_equal("asked");
    pair.assert_settled("asked");
}

/// Each line that a run says to the server is a moment at which the other client can be quicker, up to its end.
#[test]
fn at_whatever_moment_it_moves_the_flags_go_with_it() {
    let dovecot = Dovecot::start();
    let port = dovecot.port();
    for (from, to) in [("From", "To"), ("From", "Earlier")] {
        let mut moments = 0;
        loop {
            let pair = filled(&dovecot, 12, from, to, true);
            pair.tree.messages(from).into_iter().for_each(|mut m| m.set_letters("F"));
            let moment = Moment::at(moments, port, move || Client::connect(port, "").move_to(from, "1:6", to));
            let has_come = comes(&pair, &moment);
            let context = format!("{from} to {to} before line {moments}");
            assert_eq!(flagged(&pair, from, &context), if has_come { 6 } else { 12 }, "{context}");
            assert_eq!(flagged(&pair, to, &context), if has_come { 6 } else { 0 }, "{context}");
            assert_eq!(pair.tree.snapshot().messages(), 14, "{context}");
            if !has_come {
                break;
            }
            moments += 1;
        }
        assert!(moments > 10, "{moments}");
    }
}
