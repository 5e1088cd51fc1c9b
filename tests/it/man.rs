//! The manual pages say what the program says.

use std::fs;
use std::path::Path;

use crate::world::process::{As, Mailtide};
use crate::world::scratch::Scratch;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn mailtide_1_is_what_the_program_prints() {
    let scratch = Scratch::new();
    let printed = Mailtide::new(&scratch, As::Me).run(&["man"]).expect(0).stdout;
    assert!(printed == page("mailtide.1"), "run `cargo run -- man > man/mailtide.1` and look at what changed");
}

#[test]
fn mailtide_toml_5_names_every_key() {
    let text = page("mailtide.toml.5").replace("\\-", "-");
    let keys = [
        "maildir",
        "layout",
        "direction",
        "deletions",
        "mailboxes",
        "rename",
        "max-delete",
        "keywords",
        "host",
        "port",
        "tls",
        "user",
        "password",
        "command",
        "file",
        "env",
        "ca-file",
        "pin",
        "client-cert",
        "client-key",
        "connections",
        "compress",
        "timeout",
        "disable",
    ];
    let missing: Vec<_> = keys.iter().filter(|key| !text.contains(**key)).collect();
    assert!(missing.is_empty(), "mailtide.toml.5 does not name {missing:?}");
}
