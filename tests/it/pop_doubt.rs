//! Messages at which a session breaks, and messages that are not what the server lists: they stop no other, are never
//! taken for another, and never deleted.

use std::fs;
use std::time::{Duration, Instant};

use super::world::maildrop::{Answer, Fault, Maildrop, multi_line};
use super::world::post::Post;

/// Messages of a few kB with lines that begin with dots, each with its number.
fn mail(many: usize) -> Vec<Vec<u8>> {
    let text = |n: usize| format!("a line of message {n}\r\n.dot\r\n..\r\n").repeat(100);
    (1..=many).map(|n| format!("Message-ID: <{n}@x>\r\nSubject: {n}\r\n\r\n{}", text(n)).into_bytes()).collect()
}

fn without(mail: &[Vec<u8>], numbers: &[usize]) -> Vec<Vec<u8>> {
    mail.iter().enumerate().filter(|(n, _)| !numbers.contains(&(n + 1))).map(|(_, bytes)| bytes.clone()).collect()
}

/// `answer` to `RETR number`, in every session.
fn at(number: usize, answer: Answer) -> Fault {
    let command = format!("RETR {number}");
    Fault::answer(move |asked| (asked.command == command).then(|| answer.clone()))
}

#[test]
fn a_message_that_ends_every_session_stops_no_other() {
    let mail = mail(6);
    for numbers in [&[3][..], &[1], &[6], &[2, 5], &[1, 2, 3]] {
        for settings in ["keep = false", "keep = false\norder = \"newest\""] {
            let maildrop = Maildrop::start(&mail);
            let post = Post::new(&maildrop, settings);
            let faults: Vec<Fault> = numbers.iter().map(|n| at(*n, Answer::SayAndHangUp(Vec::new()))).collect();
            maildrop.trouble(&faults);
            let outcome = post.try_sync().expect(1);
            let names: Vec<String> = numbers.iter().map(|n| format!("UIDL uid-{n}")).collect();
            let outcome = outcome.says(&names.iter().map(String::as_str).collect::<Vec<_>>());
            post.assert_holds(&without(&mail, numbers), &format!("{settings}: {outcome:?}"));
            assert_eq!(maildrop.messages().len(), numbers.len(), "{settings}");
            post.run("status", &[]).expect(1);
            maildrop.trouble(&[]);
            post.sync();
            post.assert_holds(&mail, settings);
        }
    }
}

#[test]
fn a_message_that_ends_every_session_takes_no_room_of_a_limit() {
    let mail = mail(4);
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "max-messages = 2");
    maildrop.trouble(&[at(1, Answer::SayAndHangUp(Vec::new()))]);
    (0..2).for_each(|_| drop(post.try_sync().expect(1)));
    post.assert_holds(&without(&mail, &[1]), "in two runs");
}

#[test]
fn an_answer_without_end_is_not_taken_for_two() {
    let mail = mail(8);
    // Put into a pipeline, each answer after it would count for the message before.
    let endless = [&b"+OK\r\n"[..], &mail[2]].concat();
    for always in [false, true] {
        for settings in ["keep = false\ntimeout = \"1s\"", "keep = true\ntimeout = \"1s\""] {
            let maildrop = Maildrop::start(&mail);
            let post = Post::new(&maildrop, "");
            fs::write(&post.config, post.account("home", maildrop.port(), "").replace("timeout = \"2s\"\n", settings))
                .unwrap();
            let fault = [at(3, Answer::Say(endless.clone()))];
            if always {
                maildrop.trouble(&fault)
            } else {
                maildrop.trouble_for(1, &fault)
            }
            post.try_sync().expect(i32::from(always));
            post.assert_holds(&without(&mail, if always { &[3] } else { &[] }), settings);
            let left = if settings.contains("true") { 8 } else { usize::from(always) };
            assert_eq!(maildrop.messages().len(), left, "{settings}");
            maildrop.trouble(&[]);
            post.sync();
            post.assert_holds(&mail, settings);
        }
    }
}

#[test]
fn a_text_that_ends_too_early_makes_no_other_message() {
    let mail = mail(5);
    // A server that puts no dots.
    let early = b"+OK\r\nline one\r\n.\r\n+OK rest of the text\r\nSubject: injected\r\n\r\nfoo\r\n.\r\n".to_vec();
    for faults in [vec![], vec![Fault::LockStep]] {
        let maildrop = Maildrop::start(&mail);
        let post = Post::new(&maildrop, "keep = false");
        maildrop.trouble(&[faults, vec![at(2, Answer::Say(early.clone()))]].concat());
        post.try_sync().expect(1).says(&["UIDL uid-2"]);
        post.assert_holds(&without(&mail, &[2]), "nothing of another");
        assert_eq!(maildrop.messages().len(), 1);
    }
}

#[test]
fn a_message_of_which_little_came_stays_on_the_server() {
    let mail = mail(4);
    for came in [&b""[..], b"Subject: 2\r\n\r\nthe beginning\r\n"] {
        let maildrop = Maildrop::start(&mail);
        let post = Post::new(&maildrop, "keep = false");
        maildrop.trouble(&[at(2, Answer::Say(multi_line(came)))]);
        post.try_sync().expect(1).says(&["UIDL uid-2", "is kept, whatever `keep` says"]);
        post.assert_holds(&[without(&mail, &[2]), vec![came.to_vec()]].concat(), "what came");
        assert_eq!(maildrop.messages().len(), 1);
        // It is looked at once more, alone on the server now, and then left alone.
        maildrop.trouble(&[at(1, Answer::Say(multi_line(came)))]);
        post.sync().says(&["1 found the same on both sides"]);
        post.sync().says(&["nothing changed"]);
        assert_eq!(maildrop.messages().len(), 1);
    }
    // All of it comes the second time.
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "keep = false");
    maildrop.trouble(&[at(2, Answer::Say(multi_line(b"")))]);
    post.try_sync().expect(1);
    maildrop.trouble(&[]);
    post.sync().says(&["1 new"]);
    post.assert_holds(&[mail.clone(), vec![Vec::new()]].concat(), "whole now");
    assert_eq!(maildrop.messages().len(), 0);
}

#[test]
fn a_message_that_list_gives_no_size_comes_all_the_same() {
    let mail = mail(5);
    let size = mail[0].len();
    let listed = |bad: &'static str| {
        Fault::saying("LIST", format!("+OK\r\n1 {size}\r\n2 {size}\r\n{bad}\r\n4 {size}\r\n5 {size}\r\n.\r\n"))
    };
    for list in [listed("3 x"), listed("three"), Fault::saying("LIST", "+OK\r\nabc\r\n.\r\n")] {
        let maildrop = Maildrop::start(&mail);
        let post = Post::new(&maildrop, "");
        maildrop.trouble(&[list]);
        post.sync().says(&["no size"]);
        post.assert_holds(&mail, "all came");
        post.sync().says(&["nothing changed"]);
        maildrop.trouble(&[]);
        post.sync();
        post.assert_holds(&mail, "known again by their real sizes");
    }
    // Nobody names it.
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "");
    maildrop.trouble(&[Fault::NoUidl, listed("3 x")]);
    post.try_sync().expect(1).says(&["name no message: 1"]);
    assert_eq!(post.mail().len(), 4);
}

#[test]
fn another_message_under_a_known_unique_id_is_fetched() {
    let mail = mail(2);
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "");
    post.sync();
    let longer = [&mail[0][..], "and more of it\r\n".repeat(500).as_bytes()].concat();
    maildrop.messages()[0].bytes = longer.clone();
    post.sync().says(&["1 new"]);
    post.assert_holds(&[mail[0].clone(), mail[1].clone(), longer], "both");
    post.sync().says(&["nothing changed"]);
}

#[test]
fn a_server_that_keeps_what_it_deleted_is_named() {
    let maildrop = Maildrop::start(&mail(3));
    let post = Post::new(&maildrop, "keep = false");
    maildrop.trouble(&[Fault::NoDele("+OK deleted")]);
    post.try_sync();
    post.try_sync().says(&["lists 3 messages again that it has confirmed as deleted"]);
}

#[test]
fn what_came_before_a_long_silence_survives_a_kill() {
    let mail = mail(5);
    let maildrop = Maildrop::start(&mail);
    let post = Post::new(&maildrop, "");
    let text = post.account("home", maildrop.port(), "").replace("timeout = \"2s\"", "timeout = \"2m\"");
    fs::write(&post.config, text).unwrap();
    maildrop.trouble(&[Fault::StallInside { number: 4, octets: 50 }]);
    let mut run = post.start_sync();
    let begun = Instant::now();
    while post.mail().len() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(60), "what came is not delivered");
        std::thread::sleep(Duration::from_millis(50));
    }
    run.kill();
    maildrop.trouble(&[]);
    post.sync();
    post.assert_holds(&mail, "each once");
    assert_eq!(maildrop.heard_times("RETR 1"), 1);
}
