//! The files: modes and durability, readers beside a writer, and files that are no sound state.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;

use super::*;
use crate::error::{Error, Kind};

#[test]
fn files_are_private_and_durable_and_looking_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join("a/mailtide");
    assert!(State::open(&state_dir, "work").unwrap().is_none());
    assert!(State::open_read_only(&state_dir, "work").unwrap().is_none());
    assert!(!state_dir.exists());

    let mut state = State::create(&state_dir, "me/../x", AccountId(7)).unwrap();
    state.record(&[known(MailboxId(1))]).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state_dir), 0o700);
    let files: Vec<_> = fs::read_dir(&state_dir).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{file:?}"));

    for state in [state, State::open(&state_dir, "me/../x").unwrap().unwrap()] {
        let pragma = |name| state.connection.pragma_query_value(None, name, |row| row.get::<_, String>(0));
        assert_eq!(pragma("journal_mode").unwrap(), "wal");
        let number = |name| state.connection.pragma_query_value(None, name, |row| row.get::<_, u8>(0));
        assert_eq!((number("synchronous").unwrap(), number("foreign_keys").unwrap()), (2, 1));
    }
    let error = State::create(&state_dir, "me/../x", AccountId(8)).unwrap_err();
    assert_eq!(error.what(), "There is a state already");
}

#[test]
fn a_reader_looks_on_while_a_run_writes_and_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = State::create(dir.path(), "work", AccountId(7)).unwrap();
    run.record(&[known(MailboxId(1))]).unwrap();
    let mut reader = State::open_read_only(dir.path(), "work").unwrap().unwrap();
    run.connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM mailbox").unwrap();
    assert_eq!(reader.base(&|_| true).unwrap().len(), 1);
    run.connection.execute_batch("COMMIT").unwrap();
    assert_eq!(reader.base(&|_| true).unwrap().len(), 0);
    let error = reader.record(&[known(MailboxId(2))]).unwrap_err();
    assert_eq!((error.kind(), error.what()), (Kind::State, "The state file or its directory is read-only"));
}

#[test]
fn a_file_that_is_no_sound_state_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("work.sqlite");
    let refused = |kind: Kind, what: &str| {
        for result in [State::open(dir.path(), "work"), State::open_read_only(dir.path(), "work")] {
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.what()), (kind, what));
            assert!(error.place().unwrap().ends_with("work.sqlite"));
            assert_eq!(State::is_damaged(&error, dir.path(), "work"), kind == Kind::Damaged);
            assert!(!State::is_damaged(&error, dir.path(), "home"));
            assert!(error.hint_text().is_some());
        }
        let before = fs::read(&path).ok();
        assert!(State::create(dir.path(), "work", AccountId(1)).is_err());
        assert_eq!(fs::read(&path).ok(), before, "it is somebody's, so it stays as it is");
    };
    fs::write(&path, "Dear diary,".repeat(1000)).unwrap();
    refused(Kind::Damaged, "The state file is damaged");

    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE diary (day TEXT)").unwrap();
    refused(Kind::State, "The file is another program's SQLite database");

    fs::remove_file(&path).unwrap();
    drop(State::create(dir.path(), "work", AccountId(1)).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    refused(
        Kind::State,
        &format!("The state has schema 99, and this Mailtide knows {} at most", super::super::schema::NEWEST),
    );

    // Ours, but for what its header says.
    for header in ["user_version = 0", "user_version = 1", "application_id = 5"] {
        fs::remove_file(&path).unwrap();
        drop(State::create(dir.path(), "work", AccountId(1)).unwrap());
        Connection::open(&path).unwrap().execute_batch(&format!("PRAGMA {header}")).unwrap();
        let error = State::open(dir.path(), "work").unwrap_err();
        assert_eq!((error.kind(), error.what()), (Kind::Damaged, "The state file is damaged"), "{header}");
        assert!(!error.to_string().contains("CREATE"), "{error}");
    }

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(Kind::State, "The state file cannot be opened");
    let error = State::create(&path.join("x/y"), "work", AccountId(1)).map(drop);
    assert!(error.is_ok(), "a directory is as good as another");
    fs::write(dir.path().join("file"), "").unwrap();
    let error = State::create(&dir.path().join("file/y"), "work", AccountId(1)).unwrap_err();
    assert!(error.what().contains("make the state directory") && error.hint_text().unwrap().contains("XDG"), "{error}");
}

#[test]
fn damage_inside_is_an_error_and_never_an_empty_mailbox() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::create(dir.path(), "work", AccountId(1)).unwrap();
    let id = MailboxId(1);
    state.record(&[known(id)]).unwrap();
    state.record(&(1..2000).map(|n| Fact::Linked(id, plain(n))).collect::<Vec<_>>()).unwrap();
    drop(state);
    let path = dir.path().join("work.sqlite");
    let sound = fs::read(&path).unwrap();

    let mut torn = sound.clone();
    torn[8 * 4096..].fill(0xa5);
    fs::write(&path, &torn).unwrap();
    let state = State::open(dir.path(), "work").unwrap().unwrap();
    let error = state.links(id).unwrap_err();
    assert_eq!(error.what(), "The state file is damaged");
    assert_eq!(error.hint_text(), Some("`mailtide sync` keeps it aside and makes a new one: no mail is lost."));
    drop(state);

    // A value that no fact can have brought.
    for wrong in ["uid = 0 WHERE uid = 1", "digest = x'00'", "presence = 3", "flags = -1", "file = x''"] {
        fs::write(&path, &sound).unwrap();
        Connection::open(&path).unwrap().execute_batch(&format!("UPDATE link SET {wrong}")).unwrap();
        let read = State::open(dir.path(), "work").unwrap().unwrap().links(id);
        let expected = if wrong.starts_with("file") { None } else { Some("The state file is damaged") };
        assert_eq!(read.as_ref().err().map(Error::what), expected, "{wrong}");
    }
}

#[test]
fn links_that_are_not_all_there_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::create(dir.path(), "work", AccountId(1)).unwrap();
    let id = MailboxId(1);
    state.record(&[known(id), Fact::Linked(id, plain(1)), Fact::Linked(id, plain(2))]).unwrap();
    state.connection.execute_batch("DELETE FROM link WHERE uid = 2").unwrap();
    assert_eq!(state.links(id).unwrap_err().kind(), Kind::Damaged);
    assert_eq!(state.links(MailboxId(2)).unwrap().len(), 0);
}

#[test]
fn an_error_of_a_state_whose_indexes_are_wrong_is_damage_and_of_a_sound_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::create(dir.path(), "work", AccountId(1)).unwrap();
    let stranger = Fact::Linked(MailboxId(9), plain(1));
    let error = state.record(std::slice::from_ref(&stranger)).unwrap_err();
    assert_eq!((error.kind(), State::is_damaged(&error, dir.path(), "work")), (Kind::State, false));
    state.record(&[known(MailboxId(1)), Fact::Linked(MailboxId(1), plain(1))]).unwrap();
    // A row that its index does not know.
    state
        .connection
        .execute_batch(
            "PRAGMA writable_schema = on; UPDATE sqlite_schema SET sql = 'CREATE INDEX link_digest ON link (size)' WHERE name = 'link_digest'",
        )
        .unwrap();
    drop(state);
    let mut state = State::open(dir.path(), "work").unwrap().unwrap();
    let error = state.record(&[stranger]).unwrap_err();
    assert_eq!((error.kind(), State::is_damaged(&error, dir.path(), "work")), (Kind::State, true));
}

#[test]
fn a_damaged_state_is_kept_with_all_that_belongs_to_it() {
    let dir = tempfile::tempdir().unwrap();
    for kept in ["work.sqlite.damaged-1", "work.sqlite.damaged-2"] {
        drop(State::create(dir.path(), "work", AccountId(1)).unwrap());
        fs::write(dir.path().join("work.sqlite-wal"), kept).unwrap();
        let sound = fs::read(dir.path().join("work.sqlite")).unwrap();
        assert_eq!(State::set_aside(dir.path(), "work").unwrap(), dir.path().join(kept));
        assert_eq!(fs::read(dir.path().join(kept)).unwrap(), sound);
        assert_eq!(fs::read_to_string(dir.path().join(format!("{kept}-wal"))).unwrap(), kept);
        assert!(State::open(dir.path(), "work").unwrap().is_none());
    }
    assert!(State::set_aside(dir.path(), "none").is_err());
}

#[test]
fn a_full_disk_loses_the_batch_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::create(dir.path(), "work", AccountId(1)).unwrap();
    let id = MailboxId(1);
    state.record(&[known(id), Fact::Linked(id, plain(1))]).unwrap();
    let before = Model::of(&state);
    let pages: u32 = state.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let allow = |state: &State, pages: u32| {
        state.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    };
    allow(&state, pages + 3);
    let batch: Vec<Fact> = (1..1000).map(|n| Fact::Linked(id, plain(n))).collect();
    let error = state.record(&batch).unwrap_err();
    assert_eq!(error.what(), "The state cannot be written");
    assert!(error.hint_text().unwrap().contains("make room"));
    assert_eq!(Model::of(&state), before);
    allow(&state, u32::MAX - 1);
    state.record(&batch).unwrap();
    assert_eq!(state.links(id).unwrap().len(), 999);
}

#[test]
fn an_empty_file_is_a_creation_that_the_power_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("work.sqlite"), "").unwrap();
    assert!(State::open(dir.path(), "work").unwrap().is_none());
    assert!(State::open_read_only(dir.path(), "work").unwrap().is_none());
    State::create(dir.path(), "work", AccountId(1)).unwrap();
    assert!(State::open(dir.path(), "work").unwrap().is_some());
}
