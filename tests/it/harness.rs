//! The world itself works: servers start, the second client reads what it wrote, logs and proxies tell the truth.

use crate::world::client::Client;
use crate::world::compare::{Seen, assert_same};
use crate::world::cyrus::Cyrus;
use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, Kind};
use crate::world::maildir::{Layout, Tree};
use crate::world::proxy::{Manner, Proxy, Trouble};
use crate::world::random::Editor;
use crate::world::scratch::Scratch;
use crate::world::server::Server;

#[test]
fn dovecot_keeps_what_the_second_client_appends() {
    keeps_every_kind(&Dovecot::start());
}

#[test]
fn cyrus_keeps_what_the_second_client_appends() {
    if let Some(cyrus) = Cyrus::start() {
        keeps_every_kind(&cyrus);
    }
}

fn keeps_every_kind(server: &dyn Server) {
    let mut client = server.client();
    client.create("Entwürfe");
    let mut generator = Generator::new(1);
    let mut appended: Vec<Seen> = Vec::new();
    for kind in Kind::ALL {
        let bytes = generator.of(kind);
        client.append("Entwürfe", &bytes, &["\\Seen", "$Label1"]);
        appended.push(Seen::new(&bytes, ["\\Seen", "$label1"].map(String::from).into()));
    }
    appended.sort();
    let snapshot = client.snapshot();
    assert_eq!(snapshot.0["Entwürfe"], appended);
    client.move_to("Entwürfe", "1:3", "INBOX");
    client.remove("Entwürfe", "4:*");
    client.delete_mailbox("Entwürfe");
    let snapshot = client.snapshot();
    assert_eq!(snapshot.0.keys().collect::<Vec<_>>(), ["INBOX", "Trash"]);
    assert_eq!(snapshot.messages(), 3);

    let log = server.wire_log().mark();
    let mut other = server.client();
    other.snapshot();
    other.store("INBOX", "1", "+FLAGS (\\Deleted)");
    drop(other);
    assert_eq!(log.changing_commands(), ["UID STORE 1 +FLAGS.SILENT (\\Deleted)"]);
}

#[test]
fn hidden_capabilities_are_hidden() {
    let dovecot = Dovecot::showing("IMAP4rev1 UIDPLUS");
    let proxy = Proxy::start(dovecot.port(), Manner::default());
    let mut client = Client::connect(proxy.port(), "");
    assert!(client.can("UIDPLUS") && !client.can("CONDSTORE") && !client.can("LITERAL+"));
    assert!(proxy.heard().contains(" CAPABILITY\r\n"), "{}", proxy.heard());
    assert!(Dovecot::start().client().can("QRESYNC"));
}

#[test]
fn a_proxy_cuts_where_it_is_told_to() {
    let dovecot = Dovecot::start();
    let manner = Manner { to_client: Trouble::CutAfter(10), heals_at: Some(1), ..Manner::default() };
    let proxy = Proxy::start(dovecot.port(), manner);
    let cut = std::panic::catch_unwind(|| Client::connect(proxy.port(), ""));
    assert!(cut.is_err());
    Client::connect(proxy.port(), "").run("NOOP");
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn random_rounds_repeat_with_their_seed() {
    let round = || {
        let (dovecot, scratch) = (Dovecot::start(), Scratch::new());
        let tree = Tree::new(scratch.path(), Layout::Nested);
        let mut client = dovecot.client();
        let mut editor = Editor::new(3);
        editor.fill(Some(&tree), &mut client);
        for _ in 0..3 {
            editor.round(&tree, &mut client, 12);
        }
        (tree.snapshot(), client.snapshot())
    };
    let (first, second) = (round(), round());
    assert_same(("first", &first.0), ("second", &second.0), "local");
    assert_same(("first", &first.1), ("second", &second.1), "server");
    assert!(first.0.messages() > 10 && first.1.messages() > 10);
}
