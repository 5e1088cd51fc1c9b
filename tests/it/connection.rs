//! Ways to the server: implicit TLS, STARTTLS, client certificate, compression, a URL instead of a configuration, a slow
//! line, a line that is cut or stalls anywhere.

use std::fs;
use std::time::Duration;

use crate::world::certs;
use crate::world::dovecot::{Dovecot, Options};
use crate::world::mail::{Generator, with_lf};
use crate::world::maildir::{Layout, Tree};
use crate::world::pair::{Pair, Setting};
use crate::world::process::{As, Mailtide};
use crate::world::proxy::{Manner, Proxy, Trouble};
use crate::world::scratch::{Scratch, give_away};
use crate::world::server::{PASSWORD, Server, USER};
use crate::world::small::{Small, Ways};

fn with_mail(server: &dyn Server, count: usize) {
    let mut generator = Generator::new(4);
    let mut client = server.client();
    for _ in 0..count {
        client.append("INBOX", &generator.any(), &["\\Flagged", "Work"]);
    }
}

#[test]
fn a_url_needs_no_configuration() {
    let dovecot = Dovecot::start();
    with_mail(&dovecot, 3);
    let scratch = Scratch::new();
    let mailtide = Mailtide::new(&scratch, As::Me);
    let ca = dovecot.ca_file().to_str().unwrap();
    let addresses = [
        ("nested", format!("imaps://{USER}@localhost:{}", dovecot.tls_port()), Layout::Nested),
        ("maildir++", format!("imap://{USER}@localhost:{}", dovecot.port()), Layout::MaildirPlusPlus),
    ];
    for (layout, url, kind) in addresses {
        let root = mailtide.home().join(layout);
        let args = ["sync", &url, "--maildir", root.to_str().unwrap(), "--ca-file", ca, "--layout", layout];
        mailtide.run(&args).expect(0);
        let tree = Tree::new(&root, kind);
        tree.deliver("INBOX", &format!("1.{layout}"), b"Subject: up\n\n", Some("S"));
        mailtide.run(&args).expect(0);
        assert_eq!(tree.snapshot(), dovecot.client().snapshot());
    }
    // A password in a URL ends in shell histories.
    let url = format!("imaps://{USER}:secret@localhost:{}", dovecot.tls_port());
    let outcome = mailtide.run(&["sync", &url, "--maildir", "x", "--ca-file", ca]).expect(2);
    assert!(!outcome.stderr.contains("secret"));
    // From a command.
    let url = format!("imaps://{USER}@localhost:{}", dovecot.tls_port());
    fs::write(scratch.path().join("password"), PASSWORD).unwrap();
    let seen = scratch.path().join("seen");
    let command = format!("env > '{}'; cat '{}'", seen.display(), scratch.path().join("password").display());
    let args = ["sync", &url, "--maildir", "third", "--ca-file", ca, "--password-command", &command];
    let mut run = mailtide.command(&args);
    ["MAILTIDE_PASSWORD", "SSL_CERT_FILE", "SSL_CERT_DIR"].iter().for_each(|name| {
        run.env_remove(name);
    });
    let output = run.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // What a run sets for itself, to look certificates up, is not for commands that it runs.
    assert!(!fs::read_to_string(seen).unwrap().contains("SSL_CERT_FILE"));
}

#[test]
fn a_client_certificate_is_shown() {
    let dovecot = Dovecot::with(Options { client_certificate: true, ..Options::default() });
    let pair = Pair::new(&dovecot);
    let files = certs::write_client(pair.scratch.path(), USER);
    let refused = pair.try_sync(&[]);
    assert!([4, 5].contains(&refused.code()), "{refused:?}");
    let imap = format!("client-cert = \"{}\"\nclient-key = \"{}\"\n", files.cert.display(), files.key.display());
    pair.configure(&Setting { imap, ..Setting::default() });
    pair.sync();
}

#[test]
fn compressed_both_ways() {
    let dovecot = Dovecot::start();
    with_mail(&dovecot, 20);
    let pair = Pair::with(&dovecot, Setting { imap: "compress = true\n".into(), ..Setting::default() });
    pair.tree.create_mailbox("Up");
    let mut generator = Generator::new(5);
    for n in 0..20 {
        pair.tree.deliver("Up", &format!("17.{n}"), &with_lf(&generator.any()), Some("S"));
    }
    let log = dovecot.wire_log().mark();
    pair.sync();
    assert!(log.commands().iter().any(|c| c.starts_with("COMPRESS DEFLATE")), "{:?}", log.commands());
    pair.assert_equal("compressed");
}

#[test]
fn a_slow_line_costs_time_only() {
    let dovecot = Dovecot::start();
    with_mail(&dovecot, 100);
    let manner = Manner { round_trip: Duration::from_millis(50), ..Manner::default() };
    let proxy = Proxy::start(dovecot.port(), manner);
    let pair = Pair::with(&dovecot, Setting { through: Some(proxy.port()), ..Setting::default() });
    pair.sync();
    pair.assert_equal("over a slow line");
    // A hundred messages one after the other would be a hundred commands, each with its round trip.
    let said = proxy.heard();
    assert!(said.matches("\r\n").count() < 50, "{said}");
    let (before, commands) = (proxy.octets(), said.len());
    pair.sync();
    let after = proxy.octets();
    let (sent, received) = (after.0 - before.0, after.1 - before.1);
    eprintln!("nothing changed, 100 messages: {sent} octets out, {received} in");
    assert!(received < 4000, "{received} octets for a hundred unchanged messages: {}", &proxy.heard()[commands..]);
}

#[test]
fn a_line_cut_or_stalled_anywhere_loses_and_doubles_nothing() {
    let dovecot = Dovecot::start();
    with_mail(&dovecot, 30);
    let (down, up) = {
        let proxy = Proxy::start(dovecot.port(), Manner::default());
        let pair = Pair::with(&dovecot, Setting { through: Some(proxy.port()), ..Setting::default() });
        pair.sync();
        (proxy.octets().1, 60_000)
    };
    let mut rng = fastrand::Rng::with_seed(6);
    for n in 0..12 {
        let trouble = |rng: &mut fastrand::Rng, most: u64| match n % 3 {
            0 => Trouble::StallAfter(rng.u64(1..most)),
            _ => Trouble::CutAfter(rng.u64(1..most)),
        };
        let mut manner = Manner { heals_at: Some(6), ..Manner::default() };
        if n % 2 == 0 {
            manner.to_client = trouble(&mut rng, down);
        } else {
            manner.to_server = trouble(&mut rng, up);
        }
        let proxy = Proxy::start(dovecot.port(), manner);
        let imap = "timeout = \"1s\"\nconnections = 2\n".to_owned();
        let setting = Setting { through: Some(proxy.port()), imap: imap.clone(), ..Setting::default() };
        let mut pair = Pair::with(&dovecot, setting);
        pair.mailtide.hurries = true;
        let name = format!("Up{n}");
        pair.tree.create_mailbox(&name);
        let mut generator = Generator::new(100 + n);
        for k in 0..10 {
            pair.tree.deliver(&name, &format!("17.{k}"), &with_lf(&generator.sized(8_000)), Some("S"));
        }
        let mut codes = vec![pair.try_sync(&[]).code()];
        pair.configure(&Setting { imap, ..Setting::default() });
        codes.push(pair.try_sync(&[]).code());
        assert!([0, 1, 5].contains(&codes[0]) && codes[1] == 0, "{manner:?}: {codes:?}");
        let both = pair.assert_equal(&format!("{manner:?}"));
        assert_eq!(both.0[&name].len(), 10, "{manner:?}");
        pair.assert_settled(&format!("{manner:?}"));
    }
}

#[test]
fn the_server_goes_and_comes_back() {
    let mut dovecot = Dovecot::start();
    with_mail(&dovecot, 5);
    let scratch = Scratch::new();
    let mailtide = Mailtide::new(&scratch, As::Me);
    let url = format!("imaps://{USER}@localhost:{}", dovecot.tls_port());
    let ca = dovecot.ca_file().to_str().unwrap().to_owned();
    let args = ["sync", &url, "--maildir", "Mail", "--ca-file", &ca];
    mailtide.run(&args).expect(0);
    let tree = Tree::new(mailtide.home().join("Mail"), Layout::Nested);
    dovecot.stop();
    tree.messages("INBOX").remove(0).delete();
    mailtide.run(&args).expect(5);
    dovecot.launch();
    mailtide.run(&args).expect(0);
    assert_eq!(tree.snapshot(), dovecot.client().snapshot());
    assert_eq!(tree.snapshot().messages(), 4);
}

#[test]
fn a_server_restored_without_its_mail_is_the_guards_business() {
    let dovecot = Dovecot::start();
    with_mail(&dovecot, 30);
    let pair = Pair::new(&dovecot);
    pair.sync();
    // The Maildir is moved away and an empty one appears, with another UIDVALIDITY: not 30 deletions.
    let aside = pair.scratch.path().join("aside");
    fs::rename(dovecot.maildir("INBOX"), &aside).unwrap();
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(dovecot.maildir("INBOX").join(part)).unwrap();
    }
    give_away(&dovecot.maildir(""));
    pair.try_sync(&[]);
    assert_eq!(pair.tree.messages("INBOX").len(), 30, "no local file is deleted");
}

#[test]
fn one_message_that_the_server_fails_on_does_not_stop_the_others() {
    let dovecot = Dovecot::start();
    // Dovecot believes the size in the name, finds another, fails, and mends the name.
    let dir = dovecot.maildir("Half");
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(dir.join(part)).unwrap();
    }
    for n in 0..7 {
        let size = if n == 3 { ",S=24,W=4000" } else { "" };
        std::fs::write(dir.join(format!("cur/170000000{n}.M{n}P1.x{size}:2,S")), b"Subject: damaged\n\nshort\n")
            .unwrap();
    }
    crate::world::scratch::give_away(&dovecot.maildir(""));
    let pair = Pair::new(&dovecot);
    assert!([0, 1].contains(&pair.try_sync(&[]).code()));
    assert!(pair.tree.messages("Half").len() >= 6, "all others");
    pair.sync();
    assert_eq!(pair.assert_equal("mended").0["Half"].len(), 7);
}

#[test]
fn a_message_at_which_the_server_ends_the_session_is_passed_over_and_named() {
    let small = Small::start(Ways::default());
    for n in 1..=9 {
        small.inbox().add(format!("Subject: {n}\r\n\r\nbody\r\n").as_bytes(), &["\\Seen"]);
    }
    let fatal = [1, 4, 5];
    small.inbox().fatal.extend(fatal);
    let scratch = Scratch::new();
    let mailtide = Mailtide::new(&scratch, As::Me);
    let config = small.configuration(&scratch, "");
    let sync = ["sync", "-c", &config];
    let tree = Tree::new(mailtide.home().join("Mail"), Layout::Nested);
    for run in 0..2 {
        let outcome = mailtide.run(&sync).expect(1).says(&["ends the session"]);
        for uid in fatal {
            assert!(outcome.stderr.contains(&format!("UID {uid}")), "run {run}: {outcome:?}");
        }
        assert_eq!(tree.messages("INBOX").len(), 6, "run {run}: all others are there");
        assert_eq!(fs::read_dir(tree.dir("INBOX").join("tmp")).unwrap().count(), 0, "run {run}: and no half of one");
    }
    for uid in fatal {
        let alone = format!("UID FETCH {uid} (UID BODY.PEEK[])");
        assert!(small.heard().contains(&alone), "{uid} is asked for alone: {:#?}", small.heard());
    }
    small.inbox().fatal.clear();
    mailtide.run(&sync).expect(0);
    assert_eq!(tree.messages("INBOX").len(), 9);
    mailtide.run(&sync).expect(0);
    assert_eq!(tree.messages("INBOX").len(), 9);
}
