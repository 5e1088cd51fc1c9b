//! How the vocabulary stands in columns: every type reads only what it wrote, so a damaged value is an error.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::error::Item;
use crate::mail::{
    AccountId, Digest, FileId, Flags, HeaderHash, Keyword, MailboxId, MailboxName, MessageIdHash, MessageNumber,
    ModSeq, Presence, Serial, SystemFlags, Uid, UidSet, UidValidity, Uidl, UidlHash, UnixSeconds,
};

/// Keeps a type as a number: how it becomes one, and how it is read again, if it can be.
macro_rules! number {
    ($type:ty, $write:expr, $read:expr) => {
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let write: fn($type) -> i64 = $write;
                Ok(ToSqlOutput::from(write(*self)))
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let read: fn(i64) -> Option<$type> = $read;
                let number = value.as_i64()?;
                read(number).ok_or(FromSqlError::OutOfRange(number))
            }
        }
    };
}

fn small(number: i64) -> Option<u32> {
    number.try_into().ok()
}

number!(Uid, |uid| uid.get().into(), |n| small(n).and_then(Uid::new));
number!(UidValidity, |validity| validity.0.into(), |n| small(n).map(UidValidity));
number!(MailboxId, |id| id.0.into(), |n| small(n).map(MailboxId));
number!(AccountId, |id| id.0.into(), |n| small(n).map(AccountId));
number!(UnixSeconds, |time| time.0, |n| Some(UnixSeconds(n)));
// 64 bits without a sign: kept as the same 64 bits with one.
number!(ModSeq, |modseq| modseq.0.cast_signed(), |n| Some(ModSeq(n.cast_unsigned())));
number!(MessageIdHash, |hash| hash.0.cast_signed(), |n| Some(MessageIdHash(n.cast_unsigned())));
number!(UidlHash, |hash| hash.0.cast_signed(), |n| Some(UidlHash(n.cast_unsigned())));
number!(HeaderHash, |hash| hash.0.cast_signed(), |n| Some(HeaderHash(n.cast_unsigned())));
number!(Serial, |serial| serial.0.cast_signed(), |n| u64::try_from(n).ok().map(Serial));
number!(SystemFlags, |flags| flags.bits().into(), |n| u8::try_from(n).ok().map(SystemFlags::from_bits));
number!(
    Presence,
    |presence| match presence {
        Presence::Both => 0,
        Presence::LocalOnly => 1,
        Presence::RemoteOnly => 2,
    },
    |n| match n {
        0 => Some(Presence::Both),
        1 => Some(Presence::LocalOnly),
        2 => Some(Presence::RemoteOnly),
        _ => None,
    }
);

impl ToSql for Digest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

impl FromSql for Digest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        let wrong = FromSqlError::InvalidBlobSize { expected_size: 32, blob_size: bytes.len() };
        Digest::from_bytes(bytes).ok_or(wrong)
    }
}

impl ToSql for FileId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
    }
}

impl FromSql for FileId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_blob().map(|bytes| FileId::new(OsString::from_vec(bytes.to_vec())))
    }
}

impl ToSql for MailboxName {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.path()))
    }
}

impl FromSql for MailboxName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let path = value.as_str()?;
        MailboxName::parse(path).ok_or_else(|| FromSqlError::Other(format!("`{path:?}` is no mailbox name").into()))
    }
}

/// The text that stands for [`Item::Mailbox`].
const WHOLE_MAILBOX: &str = "mailbox";
/// What an [`Item::Uidl`] begins with; its octets follow in hex, since they may be any.
const UIDL: &str = "uidl ";
/// What an [`Item::Number`] begins with.
const NUMBER: &str = "number ";

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn item_named(text: &[u8]) -> Option<Item> {
    let text = std::str::from_utf8(text).ok()?;
    if text == WHOLE_MAILBOX {
        return Some(Item::Mailbox);
    }
    if let Some(number) = text.strip_prefix(NUMBER) {
        return MessageNumber::new(number.parse().ok()?).map(Item::Number);
    }
    let digits = text.strip_prefix(UIDL)?.as_bytes();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let octets = digits.chunks(2).map(octet).collect::<Option<Vec<u8>>>()?;
    Uidl::new(&octets).map(Item::Uidl)
}

impl ToSql for UidSet {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.to_string()))
    }
}

impl FromSql for UidSet {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        UidSet::parse(text).ok_or_else(|| FromSqlError::Other("no set of UIDs".into()))
    }
}

impl ToSql for Item {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Item::Mailbox => Ok(ToSqlOutput::from(WHOLE_MAILBOX)),
            Item::Message(uid) => uid.to_sql(),
            Item::File(file) => file.to_sql(),
            Item::Uidl(uidl) => Ok(ToSqlOutput::from(format!("{UIDL}{}", hex(uidl.as_bytes())))),
            Item::Number(number) => Ok(ToSqlOutput::from(format!("{NUMBER}{number}"))),
        }
    }
}

impl FromSql for Item {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Integer(_) => Uid::column_result(value).map(Item::Message),
            ValueRef::Blob(_) => FileId::column_result(value).map(Item::File),
            ValueRef::Text(text) => item_named(text).ok_or(FromSqlError::InvalidType),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// The keywords of `flags` as one text with spaces between them, which no keyword holds; `None` for none.
pub(super) fn keywords(flags: &Flags) -> Option<String> {
    let names: Vec<&str> = flags.keywords.iter().map(Keyword::as_str).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

/// The flags from their two columns.
pub(super) fn flags(system: SystemFlags, keywords: Option<&str>) -> Flags {
    Flags { system, keywords: keywords.unwrap_or_default().split(' ').filter_map(Keyword::new).collect() }
}
