//! Bad input, each kind tried: what it says, and the exit code.
//!
//! | input | exit | test |
//! | --- | --- | --- |
//! | no config, bad TOML, unknown key, no such account, password in the file | 3 or 2 | `configurations` |
//! | unknown option, URL without a tree | 2 | `command_lines` |
//! | wrong password; password command that fails, hangs, or says nothing; file others can read | 4; 3 | `passwords` |
//! | unknown host, closed port, silent server | 5 | `unreachable_servers` |
//! | certificate expired, self-signed, for another name | 5 | `certificates` |
//! | STARTTLS not offered; injected, with PREAUTH, or followed by garbage | 5 | `starttls_means_required` |
//! | greetings that are none | 5 | `greetings` |
//! | disk full | 3 or 1 | `a_full_disk` |
//! | a limit on file sizes | 3 or 1 | `a_limit_on_file_sizes` |
//! | read-only tree | 3 or 1 | `a_read_only_tree` |
//! | a file the user can't read | 1, each run | `an_unreadable_file` |
//! | another run holds the lock | 7 | `a_held_lock` |
//! | the deadline passes | 130 | `a_deadline` |

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::world::certs::{self, Certificate};
use crate::world::dovecot::{Dovecot, Options, Tls};
use crate::world::mail::Generator;
use crate::world::pair::{Pair, Setting};
use crate::world::process::{As, Mailtide, Outcome};
use crate::world::proxy::{Manner, Proxy, Trouble};
use crate::world::scratch::{Scratch, unprivileged};
use crate::world::scripted::{Conversation, Scripted};
use crate::world::server::{PASSWORD, Server, free_ports};

/// Runs `mailtide sync` with this configuration.
#[track_caller]
fn sync_with(text: &str) -> Outcome {
    let scratch = Scratch::new();
    let config = scratch.path().join("mailtide.toml");
    fs::write(&config, text).unwrap();
    Mailtide::new(&scratch, As::Me).run(&["sync", "-c", config.to_str().unwrap()])
}

/// A configuration that would reach nobody, with `line` in its `[accounts.work.imap]`.
fn imap_line(line: &str) -> String {
    format!(
        "[accounts.work]\nmaildir = \"~/Mail\"\n[accounts.work.imap]\nhost = \"localhost\"\nuser = \"me\"\n{line}\n"
    )
}

#[test]
fn configurations() {
    let scratch = Scratch::new();
    let mailtide = Mailtide::new(&scratch, As::Me);
    mailtide.run(&["sync"]).expect(3).says(&["mailtide/config.toml"]);
    mailtide.run(&["sync", "-c", "nowhere.toml"]).expect(3).says(&["nowhere.toml"]);
    sync_with("[accounts.work\nmaildir = 1\n").expect(3).says(&["mailtide.toml:1"]);
    sync_with("[accounts.work]\nmaildirr = \"~/Mail\"\n").expect(3).says(&["mailtide.toml:2", "maildirr", "`maildir`"]);
    sync_with(&imap_line("tls = \"startls\"")).expect(3).says(&["mailtide.toml:6", "starttls"]);
    sync_with(&imap_line("prot = 993")).expect(3).says(&["mailtide.toml:6", "`port`"]);
    let told = sync_with(&imap_line("password = \"hunter2\"")).expect(3).says(&["command", "file"]);
    assert!(!told.stderr.contains("hunter2") && !told.stdout.contains("hunter2"), "a password is never shown");
    sync_with("").expect(3).says(&["account"]);
    let config = scratch.path().join("one.toml");
    fs::write(&config, imap_line("")).unwrap();
    mailtide.run(&["sync", "-c", config.to_str().unwrap(), "wrok"]).expect(2).says(&["wrok", "work"]);
}

#[test]
fn command_lines() {
    let scratch = Scratch::new();
    let mailtide = Mailtide::new(&scratch, As::Me);
    mailtide.run(&["sync", "--dryrun"]).expect(2).says(&["--dry-run"]);
    mailtide.run(&["snyc"]).expect(2).says(&["sync"]);
    mailtide.run(&["sync", "imaps://me@localhost"]).expect(2).says(&["--maildir"]);
    mailtide.run(&["sync", "ftp://me@localhost", "--maildir", "Mail"]).expect(2).says(&["imaps://"]);
    mailtide.run(&["sync", "--deadline", "soon"]).expect(2).says(&["soon"]);
}

#[test]
fn passwords() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let text = fs::read_to_string(&pair.config).unwrap();
    let with = |source: &str| {
        fs::write(&pair.config, text.replace("{ env = \"MAILTIDE_PASSWORD\" }", source)).unwrap();
        pair.try_sync(&[])
    };
    with("{ command = \"echo wrong\" }").expect(4).says(&["Authentication failed"]);
    assert!(!pair.tree.root.exists(), "a tree of nothing");
    with("{ command = \"echo the safe is shut >&2; exit 3\" }").expect(3).says(&["the safe is shut"]);
    with("{ command = \"sleep 600\", timeout = \"300ms\" }").expect(3).says(&["300ms"]);
    with("{ command = \"true\" }").expect(3).says(&["printed nothing"]);
    with("{ command = \"no-such-program\" }").expect(3).says(&["no-such-program"]);
    with("{ env = \"NO_SUCH_VARIABLE\" }").expect(3).says(&["NO_SUCH_VARIABLE"]);
    with("{ file = \"/nonexistent/secret\" }").expect(3).says(&["/nonexistent/secret"]);
    let file = pair.scratch.path().join("secret");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let source = format!("{{ file = \"{}\" }}", file.display());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    with(&source).expect(3).says(&["chmod 600"]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    with(&source).expect(0);
    // Nobody to ask: no terminal.
    let line = text.lines().find(|l| l.starts_with("password")).unwrap();
    fs::write(&pair.config, text.replace(line, "")).unwrap();
    let mut command = pair.mailtide.command(&["sync", "-c", pair.config.to_str().unwrap()]);
    let output = command.env_remove("MAILTIDE_PASSWORD").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

/// A configuration for a server without TLS at `port`, that waits a second.
fn plain(port: u16) -> String {
    imap_line(&format!("port = {port}\ntls = \"none\"\ntimeout = \"1s\"\npassword = {{ env = \"MAILTIDE_PASSWORD\" }}"))
}

#[test]
fn unreachable_servers() {
    let unknown = plain(143).replace("localhost", "no-such-host.invalid");
    sync_with(&unknown).expect(5).says(&["no-such-host.invalid"]);
    let [closed] = free_ports();
    sync_with(&plain(closed)).expect(5).says(&["localhost", &closed.to_string()]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    sync_with(&plain(port)).expect(5).says(&[&port.to_string()]);
    sync_with(&plain(port).replace("tls = \"none\"", "tls = \"implicit\"")).expect(5);
    // It falls silent after the login.
    let falls_silent = Scripted::start(|peer| {
        peer.say("* OK ready");
        while let Some((tag, command)) = peer.command() {
            if command.to_ascii_uppercase().starts_with("LIST") {
                peer.listen_in_silence();
                return;
            }
            if command.to_ascii_uppercase().starts_with("CAPABILITY") {
                peer.say("* CAPABILITY IMAP4rev1");
            }
            peer.say(&format!("{tag} OK done"));
        }
    });
    sync_with(&plain(falls_silent.port())).expect(5);
}

#[test]
fn certificates() {
    let cases =
        [(Certificate::Expired, "expired"), (Certificate::SelfSigned, "self"), (Certificate::WrongName, "localhost")];
    for (certificate, word) in cases {
        let dovecot = Dovecot::with(Options { certificate, ..Options::default() });
        let pair = Pair::new(&dovecot);
        let log = dovecot.wire_log().mark();
        let outcome = pair.try_sync(&[]).expect(5);
        let said = outcome.stderr.to_lowercase();
        assert!(said.contains(word) && said.contains("certificate"), "{certificate:?}: {said}");
        assert_eq!(log.commands(), [""; 0], "nobody logs in");
    }
    // Good, but nobody trusts its authority.
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let text = fs::read_to_string(&pair.config).unwrap();
    let trusting: Vec<_> = text.lines().filter(|l| !l.starts_with("ca-file")).collect();
    fs::write(&pair.config, trusting.join("\n")).unwrap();
    pair.try_sync(&[]).expect(5).says(&["ca-file"]);
}

#[test]
fn starttls_means_required() {
    let dovecot = Dovecot::with(Options { tls: Tls::Absent, ..Options::default() });
    let starttls = |port: u16| plain(port).replace("\"none\"", "\"starttls\"");
    sync_with(&starttls(dovecot.port())).expect(5).says(&["STARTTLS"]);
    let greet_and = |last: fn(&mut Conversation, &str)| {
        Scripted::start(move |peer| {
            peer.say("* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready");
            while let Some((tag, command)) = peer.command() {
                match command.to_ascii_uppercase().as_str() {
                    "STARTTLS" => last(peer, &tag),
                    "CAPABILITY" => peer.say(&format!("* CAPABILITY IMAP4rev1 STARTTLS\r\n{tag} OK")),
                    _ => peer.say(&format!("{tag} BAD")),
                }
            }
        })
    };
    // What arrives with the OK could have come from anybody.
    let injecting = greet_and(|peer, tag| peer.say(&format!("{tag} OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN")));
    sync_with(&starttls(injecting.port())).expect(5);
    let refusing = greet_and(|peer, tag| peer.say(&format!("{tag} NO not today")));
    sync_with(&starttls(refusing.port())).expect(5).says(&["not today"]);
    let garbage = greet_and(|peer, tag| peer.say_raw(format!("{tag} OK go\r\n").as_bytes()));
    sync_with(&starttls(garbage.port())).expect(5);
    let preauth = Scripted::start(|peer| {
        peer.say("* PREAUTH [CAPABILITY IMAP4rev1] you are in");
        while let Some((tag, _)) = peer.command() {
            peer.say(&format!("{tag} OK done"));
        }
    });
    sync_with(&starttls(preauth.port())).expect(5);
    for server in [&injecting, &refusing, &garbage, &preauth] {
        let secrets = server.heard().iter().any(|c| c.contains("LOGIN") || c.contains("AUTHENTICATE"));
        assert!(!secrets, "a password went out: {:?}", server.heard());
    }
}

#[test]
fn greetings() {
    let greeting = |bytes: &'static [u8]| {
        let server = Scripted::start(move |peer| {
            peer.say_raw(bytes);
            peer.listen_in_silence();
        });
        sync_with(&plain(server.port())).expect(5)
    };
    greeting(b"* BYE \x1b[31mgo away\r\n").says(&["go away", "\\u{1b}"]);
    greeting(b"SSH-2.0-OpenSSH_9.2\r\n").says(&["SSH-2.0"]);
    greeting(b"+OK POP3 ready\r\n").says(&["POP3"]);
    greeting(&[b'x'; 100_000]);
    // An answer to the login that tries to paint the terminal.
    let painting = Scripted::answering("IMAP4rev1", |command| {
        command.starts_with("LOGIN").then(|| (Vec::new(), "NO \x1b]0;owned\x07 wrong".into()))
    });
    let outcome = sync_with(&plain(painting.port())).expect(4);
    assert!(!outcome.stderr.contains('\x1b') && !outcome.stdout.contains('\x1b'), "{outcome:?}");
}

/// A shell line that runs `$MAILTIDE …` with a file system of `kib` KiB at `mount`; `None` where that is not allowed.
pub fn on_a_small_disk(mount: &Path, kib: u32, line: &str) -> Option<String> {
    let unshare = if unprivileged().is_me { "unshare -rm" } else { "unshare -m" };
    let mounted = format!("mount -t tmpfs -o size={kib}k tmpfs '{}'", mount.display());
    let allowed = std::process::Command::new("sh").arg("-c").arg(format!("{unshare} sh -c \"{mounted}\"")).output();
    if !allowed.is_ok_and(|o| o.status.success()) {
        eprintln!("SKIPPED: this machine lets nobody mount a small disk");
        return None;
    }
    Some(format!("{unshare} sh -c \"{mounted} && {}\"", line.replace('"', "\\\"").replace('$', "\\$")))
}

#[test]
fn a_full_disk() {
    let dovecot = Dovecot::start();
    let mut client = dovecot.client();
    let mut generator = Generator::new(1);
    for _ in 0..40 {
        client.append("INBOX", &generator.sized(100_000), &[]);
    }
    let pair = Pair::new(&dovecot);
    fs::create_dir_all(&pair.tree.root).unwrap();
    let sync = format!("\"$MAILTIDE\" sync -c '{}' work", pair.config.display());
    // Twice on the full disk, then again with room: the disk outlives the runs only inside the shell line.
    let line = format!(
        "head -c 6500k /dev/zero > '{0}/ballast'; {sync}; first=$?; {sync}; second=$?; rm '{0}/ballast'; {sync}; \
         echo codes $first $second $?; ls '{0}'/INBOX/new '{0}'/INBOX/cur | grep -c ',S='; ls '{0}'/INBOX/tmp | wc -l",
        pair.tree.root.display()
    );
    let Some(line) = on_a_small_disk(&pair.tree.root, 8000, &line) else { return };
    let outcome = pair.mailtide.run_shell(&line).says(&["No space left"]);
    let codes = outcome.stdout.lines().find(|l| l.starts_with("codes")).unwrap_or_default();
    assert!(["codes 3 3 0", "codes 1 1 0"].contains(&codes), "{outcome:?}");
    let counts: Vec<_> = outcome.stdout.lines().rev().take(2).collect();
    assert_eq!(counts, ["0", "40"], "{outcome:?}");
    assert_eq!(dovecot.client().snapshot().messages(), 40);
}

#[test]
fn a_full_disk_hinders_no_deletion_that_makes_room() {
    let dovecot = Dovecot::start();
    let (mut client, mut generator) = (dovecot.client(), Generator::new(2));
    let mut deliver = |count: usize| (0..count).for_each(|_| client.append("INBOX", &generator.sized(100_000), &[]));
    deliver(20);
    let pair = Pair::new(&dovecot);
    fs::create_dir_all(&pair.tree.root).unwrap();
    let (filled, go) = (pair.scratch.path().join("filled"), pair.scratch.path().join("go"));
    let sync = format!("\"$MAILTIDE\" sync -c '{}' work", pair.config.display());
    let line = format!(
        "{sync}; touch '{}'; while [ ! -e '{}' ]; do sleep 0.1; done; {sync}; second=$?; {sync}; echo codes $second $?",
        filled.display(),
        go.display()
    );
    let Some(line) = on_a_small_disk(&pair.tree.root, 3000, &line) else { return };
    let outcome = std::thread::scope(|scope| {
        let run = scope.spawn(|| pair.mailtide.run_shell(&line));
        while !filled.exists() && !run.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        // More comes than there is room for, and room is made.
        deliver(15);
        dovecot.client().remove("INBOX", "1:15");
        fs::write(&go, "").unwrap();
        run.join().unwrap()
    });
    outcome.says(&["the disk is full", "15 deleted here", "codes 3 0"]);
}

#[test]
fn a_limit_on_file_sizes() {
    let dovecot = Dovecot::start();
    let mut generator = Generator::new(1);
    let mut client = dovecot.client();
    client.append("INBOX", &generator.sized(3_000_000), &[]);
    client.append("INBOX", &generator.sized(10_000), &[]);
    let pair = Pair::new(&dovecot);
    // Blocks of 512 octets.
    let limited = |blocks| {
        let line = format!("ulimit -f {blocks}; exec \"$MAILTIDE\" sync -c '{}'", pair.config.display());
        pair.mailtide.run_shell(&line)
    };
    // Nothing fits; then all but the large message does.
    limited(8).expect(3).says(&["ulimit -f"]);
    for _ in 0..2 {
        limited(4000).expect(1).says(&["the file is larger than it may be", "ulimit -f"]);
        assert_eq!(pair.tree.snapshot().messages(), 1);
        assert_eq!(fs::read_dir(pair.tree.dir("INBOX").join("tmp")).unwrap().count(), 0);
    }
    pair.sync();
    assert_eq!(pair.assert_equal("without a limit").messages(), 2);
    pair.assert_settled("without a limit");
}

#[test]
fn a_password_command_meets_a_limit_on_file_sizes_as_anywhere() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let command = "(head -c 100000 /dev/zero > big); echo $? > code; echo \"$MAILTIDE_PASSWORD\"";
    let text = fs::read_to_string(&pair.config).unwrap();
    let asked = text.replace("{ env = \"MAILTIDE_PASSWORD\" }", &format!("{{ command = '{command}' }}"));
    assert_ne!(asked, text);
    fs::write(&pair.config, asked).unwrap();
    let line = format!("ulimit -f 100; exec \"$MAILTIDE\" mailboxes -c '{}'", pair.config.display());
    pair.mailtide.run_shell(&line).expect(0);
    // SIGXFSZ ended it.
    assert_eq!(fs::read_to_string(pair.mailtide.home().join("code")).unwrap(), "153\n");
}

#[test]
fn a_read_only_tree() {
    let dovecot = Dovecot::start();
    let pair = Pair::with(&dovecot, Setting { run_as: As::Unprivileged, ..Setting::default() });
    pair.sync();
    dovecot.client().append("INBOX", &Generator::new(1).any(), &[]);
    let parts = ["", "INBOX", "INBOX/cur", "INBOX/new", "INBOX/tmp"].map(|p| pair.tree.root.join(p));
    let set = |mode| parts.iter().for_each(|p| fs::set_permissions(p, fs::Permissions::from_mode(mode)).unwrap());
    set(0o500);
    for _ in 0..2 {
        let outcome = pair.try_sync(&[]).says(&["ermission denied"]);
        assert!([1, 3].contains(&outcome.code()), "{outcome:?}");
    }
    set(0o700);
    pair.sync();
    assert_eq!(pair.assert_equal("writable again").messages(), 1);
}

#[test]
fn a_directory_that_takes_nothing_is_told_once() {
    const MANY: usize = 30;
    let dovecot = Dovecot::start();
    let pair = Pair::with(&dovecot, Setting { run_as: As::Unprivileged, ..Setting::default() });
    pair.sync();
    let (mut client, mut generator) = (dovecot.client(), Generator::new(1));
    (0..MANY).for_each(|_| client.append("INBOX", &generator.any(), &[]));
    for closed in ["INBOX/tmp", "INBOX/new"].map(|part| pair.tree.root.join(part)) {
        let set = |mode| fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap();
        set(0o500);
        for _ in 0..2 {
            let outcome = pair.try_sync(&[]).expect(1).says(&["30 messages", "ermission denied", "1 failed"]);
            let told = outcome.stderr.lines().filter(|line| line.contains("ermission denied")).count();
            assert_eq!(told, 1, "{outcome:?}");
        }
        set(0o700);
    }
    pair.sync();
    assert_eq!(pair.assert_equal("writable again").messages(), MANY);
}

#[test]
fn too_few_open_files_are_told_once() {
    let dovecot = Dovecot::start();
    let mut client = dovecot.client();
    for n in 0..30 {
        client.create(&format!("box-{n}"));
        client.append(&format!("box-{n}"), &Generator::new(n).any(), &[]);
    }
    let mut met = 0;
    for limit in 9..20 {
        let pair = Pair::new(&dovecot);
        let line = format!("ulimit -n {limit}; exec \"$MAILTIDE\" sync --config '{}' work", pair.config.display());
        let outcome = pair.mailtide.run_shell(&line);
        // What ends the run is told besides.
        let is_item = |line: &&str| line.contains(": mailbox: ") && line.contains("Too many open files");
        let told = outcome.stderr.lines().filter(is_item).count();
        assert!(told <= 1, "{limit}: {outcome:?}");
        met += told;
        if told == 1 {
            outcome.says(&["ulimit -n"]);
        }
    }
    assert!(met > 0);
}

#[test]
fn an_unreadable_file() {
    let dovecot = Dovecot::start();
    let pair = Pair::with(&dovecot, Setting { run_as: As::Unprivileged, ..Setting::default() });
    pair.sync();
    let closed = pair.tree.deliver("INBOX", "17.closed", b"Subject: closed\n\nx\n", Some("S"));
    pair.tree.deliver("INBOX", "17.open", b"Subject: open\n\ny\n", Some("S"));
    crate::world::scratch::give_away(&pair.tree.root);
    fs::set_permissions(&closed.path, fs::Permissions::from_mode(0o000)).unwrap();
    for run in 0..3 {
        pair.try_sync(&[]).expect(1).says(&["17.closed"]);
        assert_eq!(dovecot.client().snapshot().0["INBOX"].len(), 1, "run {run}: the other goes through");
    }
    fs::set_permissions(&closed.path, fs::Permissions::from_mode(0o600)).unwrap();
    pair.sync();
    assert_eq!(pair.assert_equal("readable again").messages(), 2);
    pair.assert_settled("readable again");
}

/// The mailbox is never done, and what came to it is all the same.
#[test]
fn a_file_put_back_beside_one_that_cannot_be_read() {
    let dovecot = Dovecot::start();
    let pair = Pair::with(&dovecot, Setting { run_as: As::Unprivileged, ..Setting::default() });
    pair.sync();
    let closed = pair.tree.deliver("INBOX", "17.closed", b"Subject: closed\n\nx\n", Some("S"));
    crate::world::scratch::give_away(&pair.tree.root);
    fs::set_permissions(&closed.path, fs::Permissions::from_mode(0o000)).unwrap();
    let mut client = dovecot.client();
    client.append("INBOX", &Generator::new(2).sized(500), &["\\Seen"]);
    pair.try_sync(&[]).expect(1).says(&["17.closed"]);
    let came = pair.tree.messages("INBOX").into_iter().find(|message| message.path != closed.path).unwrap();
    let bytes = came.bytes();
    client.remove("INBOX", "1:*");
    pair.try_sync(&[]).expect(1);
    assert!(!came.path.exists());
    fs::write(&came.path, bytes).unwrap();
    crate::world::scratch::give_away(&pair.tree.root);
    pair.try_sync(&[]).expect(1);
    assert!(came.path.exists());
    assert_eq!(client.snapshot().0["INBOX"].len(), 1, "it is on the server again");
}

#[test]
fn a_held_lock() {
    let dovecot = Dovecot::start();
    dovecot.client().append("INBOX", &Generator::new(1).sized(50_000), &[]);
    // A run that finds its tree hangs inside the greeting of a stalled line, lock in hand.
    let manner = Manner { to_client: Trouble::StallAfter(5), heals_at: Some(1), ..Manner::default() };
    let proxy = Proxy::start(dovecot.port(), manner);
    let pair = Pair::new(&dovecot);
    pair.sync();
    pair.configure(&Setting { through: Some(proxy.port()), ..Setting::default() });
    let mut holder = pair.start_sync();
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while proxy.connections() == 0 {
        assert!(std::time::Instant::now() < limit, "{}", holder.said());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let id = holder.id().to_string();
    pair.try_sync(&[]).expect(7).says(&[&id]);
    pair.try_sync(&["--wait-lock=300ms"]).expect(7);
    // The same tree under another name is held too.
    let url = format!("imaps://me@localhost:{}", dovecot.tls_port());
    let (tree, ca) = (pair.tree.root.to_str().unwrap(), dovecot.ca_file());
    let by_url = ["sync", &url, "--maildir", tree, "--ca-file", ca.to_str().unwrap()];
    pair.mailtide.run(&by_url).expect(7).says(&["under another account's name"]);
    assert!(holder.kill());
    pair.try_sync(&["--wait-lock=10s"]).expect(0);
    assert_eq!(pair.assert_equal("after the lock").messages(), 1);
}

#[test]
fn a_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let scratch = Scratch::new();
    let config = scratch.path().join("mailtide.toml");
    let text = plain(silent.local_addr().unwrap().port()).replace("\"1s\"", "\"60s\"");
    fs::write(&config, text).unwrap();
    let mailtide = Mailtide::new(&scratch, As::Me);
    mailtide.run(&["sync", "-c", config.to_str().unwrap(), "--deadline", "500ms"]).expect(130).says(&["deadline"]);
}

#[test]
fn pins_decide() {
    let dovecot = Dovecot::with(Options { certificate: Certificate::SelfSigned, ..Options::default() });
    let pin = certs::fingerprint(&dovecot.certificate());
    let pair = Pair::with(&dovecot, Setting { imap: format!("pin = \"{pin}\"\n"), ..Setting::default() });
    pair.sync();
    let wrong = pin.chars().rev().collect::<String>();
    pair.configure(&Setting { imap: format!("pin = \"{wrong}\"\n"), ..Setting::default() });
    pair.try_sync(&[]).expect(5).says(&["pin"]);
}
