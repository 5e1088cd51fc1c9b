//! Two other synchronisers, really run: mbsync (Debian's isync) and OfflineIMAP (offlineimap3), each with a home of its
//! own and a configuration as its manual shows it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::maildir::{Layout, Tree};
use super::scratch::Scratch;
use super::server::{PASSWORD, Server, USER, find_program};

/// Which program fills the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Mbsync,
    OfflineImap,
}

impl Program {
    pub const ALL: [Program; 2] = [Program::Mbsync, Program::OfflineImap];

    fn file(self) -> PathBuf {
        let name = match self {
            Program::Mbsync => "mbsync",
            Program::OfflineImap => "offlineimap",
        };
        find_program(name).unwrap_or_else(|| panic!("{name} is installed (tests/run does that)"))
    }
}

/// A synchroniser that is set up for the tests' account.
pub struct Peer {
    pub program: Program,
    /// Its `$HOME`.
    pub home: PathBuf,
    /// Its configuration, where it looks for it by itself: `~/.mbsyncrc`, `~/.offlineimaprc`.
    pub config: PathBuf,
    /// The tree it fills.
    pub tree: Tree,
}

impl Peer {
    /// Sets `program` up between `server` and a tree `~/Mail`; OfflineIMAP knows nested trees only.
    pub fn new(program: Program, server: &dyn Server, scratch: &Scratch, layout: Layout) -> Peer {
        let home = scratch.path().join(format!("{program:?}-home"));
        fs::create_dir_all(&home).unwrap();
        let tree = Tree::new(home.join("Mail"), layout);
        fs::create_dir_all(&tree.root).unwrap();
        fs::write(home.join("password"), PASSWORD).unwrap();
        let (config, text) = match program {
            Program::Mbsync => (home.join(".mbsyncrc"), mbsync(server, &tree, &home)),
            Program::OfflineImap => (home.join(".offlineimaprc"), offlineimap(server, &tree, &home)),
        };
        fs::write(&config, text).unwrap();
        Peer { program, home, config, tree }
    }

    /// One run, which must succeed.
    #[track_caller]
    pub fn run(&self) {
        const LIMIT: Duration = Duration::from_secs(120);
        let output = self.home.join("output");
        let file = fs::File::create(&output).unwrap();
        let mut command = Command::new(self.program.file());
        match self.program {
            Program::Mbsync => command.args(["--all"]),
            Program::OfflineImap => command.args(["-o", "-u", "basic"]),
        };
        command.current_dir(&self.home).stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        command.env_clear().env("HOME", &self.home).env("LANG", "C.UTF-8");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let mut child = command.spawn().unwrap();
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > LIMIT {
                let _ = child.kill();
                panic!("{:?} does not end: {}", self.program, fs::read_to_string(&output).unwrap());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(status.success(), "{:?}: {status}\n{}", self.program, fs::read_to_string(&output).unwrap());
    }
}

fn mbsync(server: &dyn Server, tree: &Tree, home: &Path) -> String {
    let root = tree.root.display();
    let near = match tree.layout {
        Layout::Nested => format!("Path {root}/\nInbox {root}/INBOX\nSubFolders Verbatim"),
        Layout::MaildirPlusPlus => format!("Inbox {root}\nSubFolders Maildir++"),
    };
    format!(
        "IMAPAccount test\nHost localhost\nPort {port}\nUser {USER}\nPassCmd \"cat {password}\"\nSSLType IMAPS\n\
         SystemCertificates no\nCertificateFile {ca}\nAuthMechs LOGIN\n\n\
         IMAPStore far\nAccount test\n\nMaildirStore near\n{near}\n\n\
         Channel test\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nRemove Both\nExpunge Both\nSync All\nSyncState *\n",
        port = server.tls_port(),
        password = home.join("password").display(),
        ca = server.ca_file().display(),
    )
}

fn offlineimap(server: &dyn Server, tree: &Tree, home: &Path) -> String {
    format!(
        "[general]\naccounts = test\nmetadata = {home}/.offlineimap\n\n\
         [Account test]\nlocalrepository = local\nremoterepository = remote\n\n\
         [Repository local]\ntype = Maildir\nlocalfolders = {root}\nsep = /\n\n\
         [Repository remote]\ntype = IMAP\nremotehost = localhost\nremoteport = {port}\nremoteuser = {USER}\n\
         remotepassfile = {home}/password\nauth_mechanisms = LOGIN\nssl = yes\nsslcacertfile = {ca}\n",
        home = home.display(),
        root = tree.root.display(),
        port = server.tls_port(),
        ca = server.ca_file().display(),
    )
}

#[test]
fn both_fill_a_tree_and_take_what_is_new_there() {
    use super::dovecot::Dovecot;
    use super::mail::{Generator, Kind};
    let runs = Program::ALL.map(|program| (program, Layout::Nested));
    for (program, layout) in runs.into_iter().chain([(Program::Mbsync, Layout::MaildirPlusPlus)]) {
        let dovecot = Dovecot::start();
        let (mut client, mut generator) = (dovecot.client(), Generator::new(21));
        client.create("A");
        client.create("A/B");
        for mailbox in ["INBOX", "A", "A/B"] {
            client.append(mailbox, &generator.of(Kind::Plain), &["\\Seen"]);
        }
        let scratch = Scratch::new();
        let peer = Peer::new(program, &dovecot, &scratch, layout);
        assert!(peer.config.is_file() && peer.tree.root.starts_with(&peer.home));
        peer.run();
        let names = peer.tree.messages("A/B").iter().map(super::maildir::Message::name).collect::<Vec<_>>();
        let mark = if program == Program::Mbsync { ",U=" } else { ",FMD5=" };
        assert!(names.len() == 1 && names[0].contains(mark), "{names:?}");
        peer.tree.deliver("A", "1700000000.M1P1.host", b"Message-ID: <new@example.org>\n\nnew\n", Some("F"));
        peer.run();
        let here = [peer.tree.messages("A").len(), client.uids("A").len()];
        assert_eq!(here, [2, 2], "{program:?}, {layout:?}");
    }
}
