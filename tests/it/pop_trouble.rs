//! What other POP3 clients lose, double or cut short, row by row; then kill, end and silence at every step and at random
//! octets. After each: everything there once, whole, and the right exit code.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::world::maildrop::{Answer, Fault, Maildrop};
use super::world::post::Post;

const SHORT: &str = "timeout = \"1s\"";

/// Messages that differ in length, every seventh without anything to know it by.
fn mail(many: usize) -> Vec<Vec<u8>> {
    let of = |n: usize| {
        let id = if n % 7 == 3 { String::new() } else { format!("Message-ID: <{n}@x>\r\n") };
        format!("{id}Subject: {n}\r\n\r\n{}..{n}\r\n.\r\n", "a line of text\r\n".repeat(n % 23))
    };
    (0..many).map(|n| of(n).replace("\r\n.\r\n", "\r\n..\r\n").into_bytes()).collect()
}

/// The settings of both ways to keep, and how many of `many` messages stay on the server.
fn ways(many: usize) -> [(String, usize); 2] {
    [(format!("keep = true\n{SHORT}"), many), (format!("keep = false\n{SHORT}"), 0)]
}

fn with(settings: &str, maildrop: &Maildrop) -> Post {
    let post = Post::new(maildrop, "");
    let text = post.account("home", maildrop.port(), "").replace("timeout = \"2s\"\n", settings);
    std::fs::write(&post.config, text).unwrap();
    post
}

/// Five messages; `faults` in every session of a run that has to end with `exit` and have brought `brought`; then all is
/// well again.
#[track_caller]
fn row(faults: &[Fault], exit: i32, brought: usize) {
    let mail = mail(5);
    for (settings, stays) in ways(5) {
        let maildrop = Maildrop::start(&mail);
        let post = with(&settings, &maildrop);
        maildrop.trouble(faults);
        post.try_sync().expect(exit);
        let is_refused = faults.iter().any(|fault| matches!(fault, Fault::RefuseLogin(_)));
        assert_eq!(post.tree.root.exists(), !is_refused, "{settings}: a tree of nothing");
        let found = post.mail();
        assert!(found.iter().all(|m| mail.contains(m)), "{settings}: half a message");
        assert_eq!(found.len(), brought, "{settings}");
        post.assert_nothing_half(&settings);
        maildrop.trouble(&[]);
        post.sync();
        post.assert_holds(&mail, &settings);
        assert_eq!(maildrop.messages().len(), stays, "{settings}");
        post.sync().says(&["nothing changed"]);
    }
}

#[test]
fn the_server_ends_inside_a_message() {
    row(&[Fault::CutInside { number: 4, octets: 50 }], 1, 4);
}

#[test]
fn the_server_is_silent_inside_a_message() {
    row(&[Fault::StallInside { number: 4, octets: 50 }], 1, 4);
}

#[test]
fn the_maildrop_is_in_use() {
    for words in ["-ERR [IN-USE] Do you have another POP session running?", "-ERR maildrop already locked"] {
        row(&[Fault::RefuseLogin(words)], 5, 0);
    }
    row(&[Fault::RefuseLogin("-ERR [LOGIN-DELAY] wait")], 5, 0);
    row(&[Fault::RefuseLogin("-ERR [SYS/TEMP] wait")], 5, 0);
    row(&[Fault::RefuseLogin("-ERR [AUTH] no")], 4, 0);
}

#[test]
fn the_server_tells_no_unique_ids() {
    row(&[Fault::NoUidl], 0, 5);
    row(&[Fault::NoUidl, Fault::NoTop], 0, 5);
    row(&[Fault::OneUidl("same")], 0, 5);
}

#[test]
fn the_server_does_not_give_one_message() {
    row(&[Fault::RefuseRetr { number: 3, words: "-ERR it is damaged" }], 1, 4);
    let maildrop = Maildrop::start(&mail(5));
    let post = Post::new(&maildrop, "");
    maildrop.trouble(&[Fault::RefuseRetr { number: 3, words: "-ERR it is damaged\x1b[2J" }]);
    post.try_sync().expect(1).says(&["UIDL uid-3", "it is damaged\\u{1b}[2J", "1 failed, the rest is in sync"]);
    post.run("status", &[]).expect(1).says(&["unresolved since", "UIDL uid-3"]);
}

#[test]
fn the_server_lists_a_part() {
    let mail = mail(5);
    for (settings, stays) in ways(5) {
        let maildrop = Maildrop::start(&mail);
        let post = with(&settings, &maildrop);
        post.sync();
        // Deleted, or listed in part, and then all are back, as from a backup of the server.
        for faults in [vec![Fault::ListsOnly(2)], vec![]] {
            if stays == 0 {
                mail.iter().for_each(|bytes| maildrop.deliver(bytes));
                let mut messages = maildrop.messages();
                messages.iter_mut().enumerate().for_each(|(n, message)| message.uidl = format!("uid-{}", n + 1));
            }
            maildrop.trouble(&faults);
            post.sync();
            post.assert_holds(&mail, &settings);
            maildrop.trouble(&[]);
            post.sync();
            post.assert_holds(&mail, &settings);
            assert_eq!(maildrop.messages().len(), stays);
        }
    }
}

#[test]
fn the_end_of_the_session_is_lost() {
    let mail = mail(5);
    for committed in [true, false] {
        let maildrop = Maildrop::start(&mail);
        let post = with(&format!("keep = false\n{SHORT}"), &maildrop);
        maildrop.trouble(&[Fault::QuitLost { committed }]);
        let exit = if committed { 0 } else { 5 };
        // When the server did delete, the next try of the same run sees that.
        post.try_sync().expect(exit).says(&["Whether 5 messages are deleted is unknown"]);
        post.assert_holds(&mail, "lost");
        maildrop.trouble(&[]);
        post.sync();
        post.assert_holds(&mail, "found");
        // Where no header tells, each try compares the body before it deletes the message again.
        let compared = if committed { 0 } else { 4 };
        assert_eq!((maildrop.messages().len(), maildrop.heard_times("RETR")), (0, 5 + compared));
        // A free unique id is used again, for another message of the same size.
        maildrop.deliver(&mail[1].iter().map(|b| if *b == b'1' { b'8' } else { *b }).collect::<Vec<_>>());
        maildrop.messages()[0].uidl = "uid-2".to_owned();
        post.sync().says(&["1 new"]);
        assert_eq!(post.mail().len(), 6);
    }
}

/// Does `work` for each case, on several threads: most of the time is spent waiting.
fn each<T: Sync>(cases: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(case);
                }
            });
        }
    });
}

/// One session with a fault; the run, or the one after it, mends it.
fn mended(settings: &str, stays: usize, mail: &[Vec<u8>], fault: Fault, what: &str) {
    let maildrop = Maildrop::start(mail);
    let post = with(settings, &maildrop);
    maildrop.trouble_for(1, &[fault]);
    let code = post.try_sync().code();
    // A session that was never open is not tried again by the same run.
    assert!(code == 0 || code == 5, "{what}: exit {code}");
    assert!(post.mail().iter().all(|m| mail.contains(m)), "{what}: half a message");
    post.assert_nothing_half(what);
    post.sync();
    post.assert_holds(mail, what);
    assert_eq!(maildrop.messages().len(), stays, "{what}");
    let before = maildrop.heard_times("RETR");
    post.sync().says(&["nothing changed"]);
    assert_eq!(maildrop.heard_times("RETR"), before, "{what}");
}

#[test]
fn an_end_or_silence_instead_of_any_answer_costs_nothing() {
    let mail = mail(12);
    let mut cases = Vec::new();
    for way in ways(12) {
        for step in [
            "", "CAPA", "AUTH", "STAT", "LIST", "UIDL", "RETR 1", "RETR 7", "RETR 12", "NOOP", "DELE 1", "DELE 12",
            "QUIT",
        ] {
            cases.extend([(way.clone(), step, true), (way.clone(), step, false)]);
        }
    }
    each(&cases, |((settings, stays), step, ends)| {
        let (step, ends): (&'static str, bool) = (step, *ends);
        let fault = Fault::answer(move |asked| {
            let meant = if step.is_empty() { asked.command.is_empty() } else { asked.command == step };
            let end = if ends { Answer::SayAndHangUp(Vec::new()) } else { Answer::SayAndStall(Vec::new()) };
            (meant || !step.is_empty() && asked.command.split(' ').next() == Some(step)).then_some(end)
        });
        mended(settings, *stays, &mail, fault, &format!("{settings}, `{step}`, ends: {ends}"));
    });
}

#[test]
fn an_end_or_silence_after_random_octets_costs_nothing() {
    let mail = mail(200);
    let all: u64 = mail.iter().map(|m| m.len() as u64 + 20).sum();
    let mut rng = fastrand::Rng::with_seed(20);
    let mut cases = Vec::new();
    for way in ways(200) {
        for _ in 0..16 {
            cases.push((way.clone(), rng.u64(..all), rng.bool()));
        }
    }
    each(&cases, |((settings, stays), octets, ends)| {
        let fault = if *ends { Fault::CutAfter(*octets) } else { Fault::StallAfter(*octets) };
        mended(settings, *stays, &mail, fault, &format!("{settings}, after {octets}, ends: {ends}"));
    });
}

#[test]
fn killed_at_random_moments_it_loses_and_doubles_nothing() {
    let mail = mail(200);
    let mut rng = fastrand::Rng::with_seed(21);
    let mut killed = 0;
    // Slowly, so that there is something to kill.
    let slow = Fault::Pieces(200);
    let whole = {
        let maildrop = Maildrop::start(&mail);
        maildrop.trouble(std::slice::from_ref(&slow));
        let post = Post::new(&maildrop, "");
        let begun = std::time::Instant::now();
        post.sync();
        begun.elapsed()
    };
    for (settings, stays) in ways(200) {
        for round in 0..12 {
            let maildrop = Maildrop::start(&mail);
            maildrop.trouble(std::slice::from_ref(&slow));
            let post = with(&settings, &maildrop);
            for _ in 0..rng.usize(1..4) {
                let mut run = post.start_sync();
                std::thread::sleep(whole.mul_f64(0.8 * rng.f64()));
                killed += usize::from(run.kill());
            }
            post.sync();
            let what = format!("{settings}, round {round}");
            post.assert_holds(&mail, &what);
            assert_eq!(maildrop.messages().len(), stays, "{what}");
            let before = maildrop.heard_times("RETR");
            post.sync().says(&["nothing changed"]);
            assert_eq!(maildrop.heard_times("RETR"), before, "{what}");
        }
    }
    assert!(killed >= 10, "only {killed} runs were killed");
}

#[test]
fn killed_inside_a_message() {
    let mail = mail(5);
    for (settings, stays) in ways(5) {
        let maildrop = Maildrop::start(&mail);
        let post = with(&settings.replace("1s", "60s"), &maildrop);
        maildrop.trouble_for(1, &[Fault::StallInside { number: 4, octets: 50 }]);
        let mut run = post.start_sync();
        while maildrop.heard_times("RETR 4") == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(run.kill());
        post.sync();
        post.assert_holds(&mail, &settings);
        assert_eq!(maildrop.messages().len(), stays);
    }
}

#[test]
fn hostile_lists_end_in_a_right_result_or_a_clear_error() {
    let mail = mail(5);
    let list = |lines: &str| format!("+OK\r\n{lines}.\r\n").into_bytes();
    for (what, command, said, exit) in [
        ("a list shorter than STAT says", "STAT", b"+OK 9 900\r\n".to_vec(), 0),
        ("a list longer than STAT says", "STAT", b"+OK 2 20\r\n".to_vec(), 0),
        ("negative numbers", "LIST", list("-1 20\r\n1 -20\r\n"), 0),
        ("huge numbers", "LIST", list("4294967296 20\r\n1 99999999999999999999\r\n"), 0),
        ("numbers that repeat", "LIST", list("1 20\r\n1 30\r\n2 20\r\n"), 0),
        ("unique ids for others", "UIDL", list("7 a\r\n8 b\r\n"), 0),
        ("unique ids with control characters", "UIDL", list("1 a\x1b[2J\r\n2 b\r\n3 c\r\n4 d\r\n5 e\r\n"), 0),
        ("an answer inside a list", "LIST", b"+OK\r\n1 20\r\n+OK\r\n".to_vec(), 5),
        ("not POP3", "", b"220 smtp\r\n".to_vec(), 5),
    ] {
        let maildrop = Maildrop::start(&mail);
        let post = with(SHORT, &maildrop);
        maildrop.trouble(&[Fault::saying(command, said)]);
        let outcome = post.try_sync();
        assert_eq!(outcome.code(), exit, "{what}: {}{}", outcome.stdout, outcome.stderr);
        assert!(!outcome.stdout.contains('\x1b') && !outcome.stderr.contains('\x1b'), "{what}");
        assert!(post.mail().iter().all(|m| mail.contains(m)), "{what}");
        maildrop.trouble(&[]);
        post.sync();
        post.assert_holds(&mail, what);
    }
}
