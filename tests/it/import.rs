//! `mailtide import`, as it is typed: streams, exit codes, files that stay; and trees that mbsync and
//! OfflineIMAP have really filled.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::world::compare::{Snapshot, assert_same};
use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, Kind};
use crate::world::maildir::{Layout, Tree};
use crate::world::maildrop::Maildrop;
use crate::world::pair::events;
use crate::world::process::{As, Mailtide};
use crate::world::scratch::Scratch;
use crate::world::server::{PASSWORD, Server, USER, find_program};

const MPOPRC: &str = "account home\nhost pop.example.org\nuser me\npassword hunter2\ntls on\nkeep on\n\
                      delivery maildir ~/Mail/in\nfilter exit 1\nauth on\n";

fn mailtide(scratch: &Scratch) -> Mailtide {
    Mailtide::new(scratch, As::Me)
}

#[test]
fn what_cannot_be_had_is_told_with_the_places() {
    let scratch = Scratch::new();
    let mailtide = mailtide(&scratch);
    for (tool, places) in [
        ("mbsync", [".mbsyncrc", ".config/isyncrc"]),
        ("offlineimap", [".config/offlineimap/config", ".offlineimaprc"]),
        ("getmail", [".config/getmail", ".getmail"]),
        ("mpop", [".mpoprc", ".config/mpop/config"]),
    ] {
        let ended = mailtide.run(&["import", "--from", tool]).expect(3).says(&places);
        assert_eq!(ended.stdout, "");
        ended.says(&[&format!("There is no configuration of {tool}"), &format!("mailtide import --from {tool} FILE")]);
    }
    mailtide.run(&["import", "--from", "mpop", "none"]).expect(3).says(&["none: There is no configuration of mpop"]);
    fs::write(mailtide.home().join("empty"), "").unwrap();
    mailtide.run(&["import", "--from", "getmail", "empty"]).expect(3).says(&["nothing to import", "no [retriever]"]);
    mailtide.run(&["import", "--from", "fetchmail"]).expect(2).says(&["mbsync, offlineimap, getmail, mpop"]);
    mailtide.run(&["import"]).expect(2).says(&["--from <TOOL>"]);
    let closed = scratch.directory("closed");
    mailtide
        .run(&["import", "--from", "mbsync", closed.to_str().unwrap()])
        .expect(3)
        .says(&["is a file, not a directory"]);
}

#[test]
fn toml_goes_to_standard_output_and_the_rest_to_standard_error() {
    let scratch = Scratch::new();
    let mailtide = mailtide(&scratch);
    let old = mailtide.home().join(".mpoprc");
    fs::write(&old, MPOPRC).unwrap();
    let loud = mailtide.run(&["import", "--from", "mpop"]).expect(0);
    let table: toml::Table = loud.stdout.parse().unwrap();
    assert_eq!(table["accounts"]["home"]["pop3"]["keep"].as_bool(), Some(true));
    for told in [
        "home: `filter exit 1` (line 8)",
        "home: `password …` (line 4)",
        "home: `auth on` (line 9)",
        "1 account taken over: home.",
    ] {
        assert!(loud.stderr.contains(told), "{told}: {}", loud.stderr);
    }
    assert!(!format!("{}{}", loud.stdout, loud.stderr).contains("hunter2"));

    // Without what needs nobody.
    let quiet = mailtide.run(&["import", "--from", "mpop", "--quiet"]).expect(0);
    assert_eq!(quiet.stdout, loud.stdout);
    assert!(
        quiet.stderr.contains("`filter") && !quiet.stderr.contains("`auth on`") && !quiet.stderr.contains("taken over")
    );
    assert_eq!(fs::read_to_string(old).unwrap(), MPOPRC);
}

#[test]
fn a_file_is_written_once_for_its_owner_alone_and_never_over_another() {
    let scratch = Scratch::new();
    let mailtide = mailtide(&scratch);
    fs::write(mailtide.home().join("old"), MPOPRC).unwrap();
    let args = ["import", "--from", "mpop", "old", "--output", "new/config.toml"];
    let ended = mailtide.run_shell(&format!("umask 000; \"$MAILTIDE\" {}", args.join(" "))).expect(0);
    assert_eq!(ended.says(&["mailtide check --config new/config.toml"]).stdout, "");
    let path = mailtide.home().join("new/config.toml");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("[accounts.home.pop3]"));
    fs::write(&path, "mine").unwrap();
    mailtide.run(&args).expect(3).says(&["not overwritten"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    mailtide.run(&["import", "--from", "mpop", "old", "--output", "old"]).expect(3).says(&["not overwritten"]);
    assert_eq!(fs::read_to_string(mailtide.home().join("old")).unwrap(), MPOPRC);
}

#[test]
fn an_account_that_cannot_be_taken_makes_the_exit_code_1() {
    let scratch = Scratch::new();
    let mailtide = mailtide(&scratch);
    fs::write(mailtide.home().join(".mpoprc"), format!("{MPOPRC}account odd\nhost h\n")).unwrap();
    let ended = mailtide.run(&["import", "--from", "mpop"]).expect(1);
    ended.says(&["odd: The account could not be taken over", "1 account taken over: home."]);
}

/// getmail reads whatever rc files it is told to; each account has one, in the old directory or in the new.
#[test]
fn all_accounts_of_getmail_are_taken() {
    let scratch = Scratch::new();
    let mailtide = mailtide(&scratch);
    let rc = |dir: &str, name: &str, user: &str| {
        fs::create_dir_all(mailtide.home().join(dir)).unwrap();
        let text = format!(
            "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = pop.example.org\nusername = {user}\npassword = x\n\
             [destination]\ntype = Maildir\npath = ~/Mail/{user}/\n"
        );
        fs::write(mailtide.home().join(dir).join(name), text).unwrap();
    };
    rc(".getmail", "getmailrc", "one");
    rc(".getmail", "rc2", "two");
    rc(".getmail", "workrc", "three");
    rc(".getmail", "workrc~", "old-three");
    fs::write(mailtide.home().join(".getmail/getmail.log"), "one\ntwo\n").unwrap();
    fs::write(mailtide.home().join(".getmail/oldmail-pop.example.org-995-one"), "u1\x001700000000\n").unwrap();
    let taken = |more: &[&str], users: &[&str]| {
        let ended = mailtide.run(&[&["import", "--from", "getmail"], more].concat()).expect(0);
        let table: toml::Table = ended.stdout.parse().unwrap();
        let accounts = table["accounts"].as_table().unwrap();
        let mut found: Vec<_> = accounts.values().map(|a| a["pop3"]["user"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, users, "{}", ended.stdout);
        ended
    };
    let ended = taken(&[], &["one", "three", "two"]).says(&["getmail.log has no [retriever]"]);
    assert_eq!(ended.stderr.matches("getmail.log").count(), 1, "{}", ended.stderr);
    rc(".config/getmail", "getmailrc", "four");
    taken(&[], &["four", "one", "three", "two"]);
    taken(&[".getmail"], &["one", "three", "two"]);
    // The new directory may be the old one, under another name.
    fs::remove_dir_all(mailtide.home().join(".config/getmail")).unwrap();
    std::os::unix::fs::symlink("../.getmail", mailtide.home().join(".config/getmail")).unwrap();
    taken(&[], &["one", "three", "two"]);
}

/// A list that cannot be taken is told, not left out.
#[test]
fn a_damaged_list_is_told_where_it_would_be_used() {
    let scratch = Scratch::new();
    let mailtide = mailtide(&scratch);
    fs::write(mailtide.home().join(".mpoprc"), format!("{MPOPRC}uidls_file ~/uidls\n")).unwrap();
    fs::write(mailtide.home().join("uidls"), " 25 pop.example.org me\nonly-one\n").unwrap();
    let ended = mailtide.run(&["import", "--from", "mpop"]).expect(0).says(&["uidls:1", "1 of 25"]);
    let table: toml::Table = ended.stdout.parse().unwrap();
    assert_eq!(table["accounts"]["home"]["pop3"].get("fetched-before"), None);
}

/// Eight messages in each of five mailboxes, whose names other tools write in another way. None is without a Message-ID:
/// such a one is known by its body only, which has to be fetched.
fn filled(dovecot: &Dovecot) -> Snapshot {
    let mut client = dovecot.client();
    let mut generator = Generator::new(7);
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| *kind != Kind::NoMessageId).collect();
    for mailbox in ["INBOX", "Entwürfe/R&D", "Lists/rust", "Archive", "Junk"] {
        if mailbox != "INBOX" {
            client.create(mailbox);
        }
        for (n, kind) in kinds.iter().take(8).enumerate() {
            let flags: &[&str] = if n % 2 == 0 { &["\\Seen"] } else { &["\\Flagged"] };
            client.append(mailbox, &generator.of(*kind), flags);
        }
    }
    client.snapshot()
}

/// OfflineIMAP fills a tree with dots between the levels; what `import` makes of its configuration finds every message
/// in it.
#[test]
fn what_offlineimap_has_fetched_is_not_fetched_again() {
    let (dovecot, scratch) = (Dovecot::start(), Scratch::new());
    let mailtide = mailtide(&scratch);
    let before = filled(&dovecot);
    let home = mailtide.home();
    let config = home.join(".offlineimaprc");
    let old = offlineimaprc(&dovecot, home);
    fs::write(&config, &old).unwrap();
    run(home, "offlineimap", &["-o", "-u", "basic"]);

    let into = ".config/mailtide/config.toml";
    mailtide.run(&["import", "--from", "offlineimap", "--output", into]).expect(0);
    let text = fs::read_to_string(home.join(into)).unwrap();
    let renames = r#"rename = { "Entwürfe/R&D" = "Entw&APw-rfe.R&-D", "Lists/rust" = "Lists.rust" }"#;
    assert!(text.contains(renames) && text.contains("mailboxes = [\"!Junk\"]"), "{text}");
    nothing_moves(&dovecot, &mailtide, &before, &text);
    assert_eq!(fs::read_to_string(&config).unwrap(), old);
}

/// mbsync fills a tree in which Archive is called `old`; by what `import` makes of its configuration, every mailbox of the
/// tree is one on the server, and every message is found in it, with the line that mbsync wrote into each.
#[test]
fn what_mbsync_has_fetched_is_not_fetched_again() {
    let (dovecot, scratch) = (Dovecot::start(), Scratch::new());
    let mailtide = mailtide(&scratch);
    let before = filled(&dovecot);
    let home = mailtide.home();
    let config = home.join(".mbsyncrc");
    let old = mbsyncrc(&dovecot, home);
    fs::write(&config, &old).unwrap();
    fs::create_dir(home.join("Mail")).unwrap();
    run(home, "mbsync", &["--all"]);

    let into = ".config/mailtide/config.toml";
    mailtide.run(&["import", "--from", "mbsync", "--output", into]).expect(0);
    let text = fs::read_to_string(home.join(into)).unwrap();
    let renames = r#"rename = { "Archive" = "old", "Entwürfe/R&D" = "Entw&APw-rfe/R&-D" }"#;
    assert!(text.contains(renames) && text.contains(r#"mailboxes = ["*", "!Junk", "!Archive", "old"]"#), "{text}");
    let made: Vec<_> =
        planned(&mailtide).into_iter().filter(|a| a["action"].as_str().unwrap().contains("mailbox")).collect();
    assert!(made.is_empty(), "{made:#?}\n{text}");
    let mailboxes = mailtide.run(&["mailboxes", "--json"]).expect(0).stdout;
    for name in ["INBOX", "Entw&APw-rfe/R&-D", "Lists/rust", "old"] {
        assert!(mailboxes.contains(&format!("\"{name}\"")), "{mailboxes}");
    }
    nothing_moves(&dovecot, &mailtide, &before, &text);
    assert_eq!(fs::read_to_string(&config).unwrap(), old);
}

/// mpop fills a Maildir; what `import` makes of its configuration knows every message in it by its UIDL, though mpop has
/// written a header of its own into each; also where the state is lost while mpop's list is still there.
#[test]
fn what_mpop_has_written_down_is_not_fetched_again() {
    let (mailtide, maildrop, _scratch) = filled_by_mpop("on");
    mailtide.run(&["pop", "home", "--list"]).expect(0).says(&["kept"]);
    assert_eq!(maildrop.heard_times("TOP"), 0, "mpop's list tells them");
    mailtide.run(&["sync"]).expect(0).says(&["30 of the messages were fetched by mpop before"]);
    let tree = Tree::new(mailtide.home().join("Mail"), Layout::MaildirPlusPlus);
    assert_eq!((maildrop.heard_times("RETR"), tree.messages("INBOX").len()), (30, 30));
    fs::remove_dir_all(mailtide.home().join(".local/state/mailtide")).unwrap();
    mailtide.run(&["sync"]).expect(0);
    fs::remove_file(mailtide.home().join("uidls")).unwrap();
    maildrop.deliver(b"Message-ID: <new@x>\r\n\r\nnew\r\n");
    mailtide.run(&["sync"]).expect(0).says(&["1 new"]);
    assert_eq!((maildrop.heard_times("RETR"), tree.messages("INBOX").len()), (31, 31));
}

/// Without the list nothing is guessed: the run says what is missing, and fetches nothing.
#[test]
fn a_list_that_is_gone_before_the_first_run_is_told() {
    let (mailtide, maildrop, _scratch) = filled_by_mpop("on");
    fs::remove_file(mailtide.home().join("uidls")).unwrap();
    mailtide.run(&["sync"]).expect(3).says(&["What mpop has fetched before cannot be read", "`fetched-before`"]);
    assert_eq!(maildrop.heard_times("RETR"), 30);
}

/// mpop fills a Maildir and leaves no trace in it: every message is known by its header, without mpop's list.
#[test]
fn what_mpop_has_fetched_is_not_fetched_again() {
    let (mailtide, maildrop, _scratch) = filled_by_mpop("off");
    let config = mailtide.home().join(".config/mailtide/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let without: String = text.lines().filter(|l| !l.starts_with("fetched-before")).map(|l| format!("{l}\n")).collect();
    assert_ne!(text, without);
    fs::write(&config, without).unwrap();
    mailtide.run(&["sync"]).expect(0);
    let tree = Tree::new(mailtide.home().join("Mail"), Layout::MaildirPlusPlus);
    assert_eq!((maildrop.heard_times("RETR"), tree.messages("INBOX").len()), (30, 30));
    maildrop.deliver(b"Message-ID: <new@x>\r\n\r\nnew\r\n");
    mailtide.run(&["sync"]).expect(0).says(&["1 new"]);
}

/// A maildrop of 30 messages that mpop has fetched into `~/Mail` and kept, and the configuration that `import` makes.
fn filled_by_mpop(received_header: &str) -> (Mailtide, Maildrop, Scratch) {
    let scratch = Scratch::new();
    let mailtide = mailtide(&scratch);
    let mut generator = Generator::new(8);
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::NoMessageId).cycle();
    let mail: Vec<Vec<u8>> = kinds.take(30).map(|kind| generator.of(kind)).collect();
    let maildrop = Maildrop::start(&mail);
    let home = mailtide.home();
    password(home);
    for dir in ["Mail/cur", "Mail/new", "Mail/tmp"] {
        fs::create_dir_all(home.join(dir)).unwrap();
    }
    let old = format!(
        "account home\nhost localhost\nport {}\nuser {USER}\npasswordeval \"cat ~/password\"\ntls off\nauth user\n\
         keep on\nuidls_file ~/uidls\nreceived_header {received_header}\ndelivery maildir ~/Mail\n",
        maildrop.port()
    );
    let config = home.join(".mpoprc");
    fs::write(&config, &old).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    run(home, "mpop", &["home"]);
    assert_eq!(maildrop.heard_times("RETR"), 30);

    let into = ".config/mailtide/config.toml";
    mailtide.run(&["import", "--from", "mpop", "--output", into]).expect(0);
    assert_eq!(fs::read_to_string(&config).unwrap(), old);
    (mailtide, maildrop, scratch)
}

/// A sync by the new configuration: no body either way, nothing twice, nothing new on the server, nothing left to do.
fn nothing_moves(dovecot: &Dovecot, mailtide: &Mailtide, before: &Snapshot, text: &str) {
    let log = dovecot.wire_log().mark();
    mailtide.run(&["sync"]).expect(0);
    let changing = log.changing_commands();
    assert!(changing.is_empty(), "{changing:#?}\n{text}");
    let bodies: Vec<_> = log.commands().into_iter().filter(|c| c.contains("BODY.PEEK[]")).collect();
    assert!(bodies.is_empty(), "{bodies:#?}\n{text}");
    assert_same(("before", before), ("after", &dovecot.client().snapshot()), "the server");
    let tree = Tree::new(mailtide.home().join("Mail"), Layout::Nested).snapshot();
    assert_eq!(tree.messages(), 32, "{:?}", tree.0.keys());
    assert_eq!(planned(mailtide), Vec::<serde_json::Value>::new());
}

fn planned(mailtide: &Mailtide) -> Vec<serde_json::Value> {
    let planned = mailtide.run(&["sync", "--dry-run", "--json"]).expect(0);
    events(&planned.stdout).into_iter().filter(|e| e["event"] == "action").collect()
}

fn mbsyncrc(server: &dyn Server, home: &Path) -> String {
    password(home);
    format!(
        "Create Both\nRemove Both\nExpunge Both\nSyncState *\n\n\
         IMAPAccount test\nHost localhost\nPort {port}\nUser {USER}\nPassCmd \"cat ~/password\"\nSSLType IMAPS\n\
         CertificateFile {ca}\nAuthMechs LOGIN\n\n\
         IMAPStore far\nAccount test\n\nMaildirStore near\nPath ~/Mail/\nInbox ~/Mail/INBOX\nSubFolders Verbatim\n\n\
         Channel main\nFar :far:\nNear :near:\nPatterns * !Junk !Archive\n\n\
         Channel archive\nFar :far:Archive\nNear :near:old\n\nGroup work main archive\n",
        port = server.tls_port(),
        ca = server.ca_file().display(),
    )
}

fn offlineimaprc(server: &dyn Server, home: &Path) -> String {
    password(home);
    format!(
        "[general]\naccounts = work\n\n[Account work]\nlocalrepository = here\nremoterepository = there\n\n\
         [Repository here]\ntype = Maildir\nlocalfolders = ~/Mail\n\n\
         [Repository there]\ntype = IMAP\nremotehost = localhost\nremoteport = {port}\nremoteuser = {USER}\n\
         remotepassfile = ~/password\nauth_mechanisms = LOGIN\nsslcacertfile = {ca}\n\
         folderfilter = lambda folder: folder not in ['Junk']\n",
        port = server.tls_port(),
        ca = server.ca_file().display(),
    )
}

fn password(home: &Path) {
    let path = home.join("password");
    fs::write(&path, PASSWORD).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Runs another tool with `home` as its home directory.
#[track_caller]
fn run(home: &Path, program: &str, args: &[&str]) {
    let file = find_program(program).unwrap_or_else(|| panic!("{program} is installed (tests/run does that)"));
    let mut command = Command::new(file);
    command.args(args).current_dir(home).env_clear().env("HOME", home).env("LANG", "C.UTF-8");
    let output = command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).output().unwrap();
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
}
