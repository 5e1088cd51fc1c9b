//! Passwords: in no output at any verbosity, whatever a server says, and in no file; and what is kept is for its owner
//! alone. Every run of every other test is searched for the password as well, see `world::canary`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, with_lf};
use crate::world::maildir::Layout;
use crate::world::maildrop::{Fault, Maildrop};
use crate::world::pair::{Pair, Setting};
use crate::world::post::Post;
use crate::world::process::{As, Mailtide, Outcome};
use crate::world::scratch::Scratch;
use crate::world::scripted::Scripted;
use crate::world::server::{PASSWORD, Server};

#[test]
fn nothing_that_is_said_at_any_verbosity_holds_the_password() {
    let ways = [(Dovecot::start(), true), (Dovecot::showing("IMAP4rev1"), false)];
    for (dovecot, tls) in &ways {
        dovecot.client().append("INBOX", &Generator::new(1).any(), &[]);
        for through in [Some(dovecot.port())].into_iter().chain(tls.then_some(None)) {
            let pair = Pair::with(dovecot, Setting { through, ..Setting::default() });
            let config = pair.config.to_str().unwrap();
            for command in ["sync", "status", "check", "mailboxes", "sync"] {
                // The search itself is in every run.
                let outcome = pair.mailtide.run(&[command, "-vvv", "-c", config]).expect(0);
                assert!(command != "sync" || outcome.stderr.contains("sent"), "nothing is logged: {outcome:?}");
            }
            pair.mailtide.run(&["sync", "-vvv", "--json", "-c", config]).expect(0);
        }
    }
    let maildrop = Maildrop::start(&[b"Subject: x\r\n\r\ny\r\n".to_vec()]);
    for (auth, fault) in
        [("auto", None), ("user", Some(Fault::NoCapa)), ("apop", None), ("login", None), ("plain", None)]
    {
        let post = Post::new(&maildrop, &format!("auth = \"{auth}\""));
        maildrop.trouble(fault.as_slice());
        for command in ["sync", "status", "check"] {
            post.run(command, &["-vvv"]);
        }
    }
}

/// A login with the account's password at a server that answers it so.
fn refused_by(imap: bool, port: u16) -> Outcome {
    let scratch = Scratch::new();
    let mailtide = Mailtide::new(&scratch, As::Me);
    let config = scratch.path().join("c.toml");
    let protocol = if imap { "imap" } else { "pop3" };
    let text = format!(
        "[accounts.a]\nmaildir = \"~/Mail\"\n[accounts.a.{protocol}]\nhost = \"localhost\"\nport = {port}\ntls = \"none\"\n\
         user = \"me\"\ntimeout = \"2s\"\npassword = {{ env = \"MAILTIDE_PASSWORD\" }}\n"
    );
    fs::write(&config, text).unwrap();
    mailtide.run(&["sync", "-vvv", "-c", config.to_str().unwrap()])
}

#[test]
fn a_server_that_repeats_the_password_is_not_quoted_with_it() {
    for (capability, word) in [("IMAP4rev1", "NO [AUTHENTICATIONFAILED]"), ("IMAP4rev1 SASL-IR AUTH=PLAIN", "BAD")] {
        let server = Scripted::start(move |peer| {
            peer.say(&format!("* OK [CAPABILITY {capability}] ready"));
            while let Some((tag, command)) = peer.command() {
                // The command as it came, and the password as a person wrote it; once as an alert.
                peer.say(&format!("* OK [ALERT] {command} / {PASSWORD}"));
                peer.say(&format!("{tag} {word} {tag} {command} / {PASSWORD} is wrong"));
            }
        });
        let outcome = refused_by(true, server.port());
        assert!([4, 5].contains(&outcome.code()), "{outcome:?}");
        let outcome = outcome.says(&["is wrong"]);
        assert!(server.heard().iter().any(|c| c.contains("LOGIN") || c.contains("PLAIN")), "{outcome:?}");
    }
    let maildrop = Maildrop::start(&[]);
    let words = format!("-ERR [AUTH] PASS {PASSWORD} is wrong\r\n");
    for faults in
        [vec![Fault::NoCapa, Fault::saying("PASS", words.clone())], vec![Fault::saying("AUTH", words.clone())]]
    {
        maildrop.trouble(&faults);
        refused_by(false, maildrop.port()).expect(4).says(&["is wrong"]);
    }
}

/// Everything below `path`, with its mode.
fn modes(path: &Path, all: &mut Vec<(PathBuf, u32)>) {
    all.push((path.to_owned(), fs::metadata(path).unwrap().permissions().mode() & 0o7777));
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| modes(&entry.unwrap().path(), all));
    }
}

#[test]
fn what_is_kept_is_for_its_owner_alone_whatever_the_umask() {
    let dovecot = Dovecot::start();
    let (mut client, mut generator) = (dovecot.client(), Generator::new(2));
    client.create("A/B");
    for mailbox in ["INBOX", "A/B"] {
        client.append(mailbox, &generator.any(), &["\\Seen", "work"]);
        client.append(mailbox, &generator.any(), &[]);
    }
    for (umask, layout) in [("000", Layout::Nested), ("022", Layout::MaildirPlusPlus), ("000", Layout::MaildirPlusPlus)]
    {
        let pair = Pair::with(&dovecot, Setting { layout, ..Setting::default() });
        let sync = format!("umask {umask}; \"$MAILTIDE\" sync -c '{}'", pair.config.display());
        pair.mailtide.run_shell(&sync).expect(0);
        // A second one moves, copies and changes flags, and finds the state damaged.
        client.move_to("INBOX", "1", "A/B");
        client.store("INBOX", "2", "+FLAGS (other)");
        fs::write(pair.mailtide.state().join("work.sqlite"), with_lf(b"no state\r\n")).unwrap();
        pair.mailtide.run_shell(&sync).expect(0);
        client.move_to("A/B", "3", "INBOX");
        let mut all = Vec::new();
        modes(&pair.tree.root, &mut all);
        modes(&pair.mailtide.state(), &mut all);
        modes(pair.mailtide.state().parent().unwrap(), &mut all);
        for (path, mode) in &all {
            // What the test itself put there.
            if path.to_string_lossy().contains(".damaged-") {
                continue;
            }
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(*mode, expected, "umask {umask}: {} has mode {mode:o}", path.display());
        }
        assert!(all.len() > 15, "{all:?}");
        pair.sync();
        client.store("INBOX", "1:*", "-FLAGS (other)");
    }
}
