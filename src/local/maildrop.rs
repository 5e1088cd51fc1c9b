//! The tree from a maildrop's side: its mail is added to one mailbox, and the tree may be another account's.
//!
//! A marker file of the account's own, beside that of the tree's owner, says that its mail comes here. So an empty mount
//! point is not filled instead of the tree, and is not taken for a tree whose mail was deleted; and when the state was
//! lost, the marker tells by the login which account's files are ours.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Read, Seek, SeekFrom};

use super::content::survey;
use super::dir::{Dir, flush, now};
use super::folder::Folder;
use super::name;
use super::places::Spot;
use super::settle::{Boxes, Place, Sub};
use super::store::{self, Expected, Marker, Opened, Store};
use super::tree::Directory;
use super::trouble::shown;
use super::{LocalOptions, Scan, ScannedFile};
use crate::error::{Error, Kind, Result};
use crate::mail::{AccountId, Content, Digest, FileId, Generation, HeaderHash, MailboxName};

const PREFIX: &str = ".mailtide-";
const HEAD: &str = "Mailtide maildrop, version 1";
/// Octets of a marker that are read.
const LIMIT: u64 = 4096;
/// Octets of a file in which its header has to end to be worth a hash.
const HEADER_MOST: u64 = 1 << 20;

/// What a file is that a run delivered and did not come to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// Digest and sizes.
    pub content: Content,
    /// The hash of its header.
    pub header: Option<HeaderHash>,
}

impl Recovered {
    /// Whether the file is still what was delivered, as far as its name tells.
    pub fn agrees_with(&self, file: &FileId) -> bool {
        name::delivered_sizes(file.as_os_str()).is_some_and(|(_, wire)| wire == self.content.wire_size)
    }
}

impl Store {
    /// Opens the tree that the mail of `login` goes into; on the first run it is made where it is missing.
    ///
    /// Fails with [`Kind::LocalTree`], and touches nothing, when the tree or the account's marker in it is missing though
    /// they are known, and when the tree has another layout or is inside another account's.
    pub fn open_for_maildrop(options: &LocalOptions, login: &str, expected: Expected) -> Result<Opened> {
        let store = Store::open_any(options, expected)?;
        let marker = match expected {
            Expected::First => store.marker_of(login)?,
            Expected::Known(id) => match store.read_maildrop_marker(name_of(id).as_ref())? {
                Some(_) => Marker::Present(id),
                None => {
                    let what = format!(
                        "The Maildir tree has no `{}` file: it is not that of the last run; nothing was changed",
                        name_of(id)
                    );
                    return Err(Error::new(Kind::LocalTree, what)
                        .hint(format!("Is the file system mounted? Look what is there with `ls -la`. {}", store::ANEW))
                        .at(shown(&options.root)));
                }
            },
        };
        Ok(Opened { store, marker })
    }

    /// Opens a tree as [`Store::open_for_maildrop`] does, and makes nothing: `None` where there is no tree and none is
    /// expected.
    pub fn look_for_maildrop(options: &LocalOptions, login: &str, expected: Expected) -> Result<Option<Opened>> {
        if Store::is_to_be_made(options, expected)? {
            return Ok(None);
        }
        Store::open_for_maildrop(options, login, expected).map(Some)
    }

    /// Marks, durably, that the mail of `id`, who logs in as `login`, comes into the tree.
    pub fn mark_maildrop(&self, id: AccountId, login: &str, generation: Generation) -> Result<()> {
        let text = format!(
            "{HEAD}\naccount = {id}\nlogin = {login}\ngeneration = {generation}\n\n\
             This file tells Mailtide that the mail of this POP3 account comes into this tree. Without it nothing is\n\
             fetched, so that an empty mount point is not filled in the tree's place. Leave it where it is.\n"
        );
        self.inner().root.replace_file(name_of(id).as_ref(), text.as_bytes())
    }

    /// How often a run delivered or deleted for `id`, as its marker says.
    pub fn maildrop_generation(&self, id: AccountId) -> Result<Option<Generation>> {
        let marked = self.read_maildrop_marker(name_of(id).as_ref())?;
        Ok(marked.and_then(|(_, text)| value(&text, "generation")?.parse().ok()).map(Generation))
    }

    /// The account whose marker names this login.
    fn marker_of(&self, login: &str) -> Result<Marker> {
        for (name, _) in self.inner().root.entries()? {
            // Nor a marker that another account's run is just writing, under a temporary name.
            let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(AccountId::parse);
            if id.is_none() {
                continue;
            }
            if let Some((id, text)) = self.read_maildrop_marker(&name)?
                && value(&text, "login") == Some(login)
            {
                return Ok(Marker::Present(id));
            }
        }
        Ok(Marker::Absent)
    }

    fn read_maildrop_marker(&self, name: &OsStr) -> Result<Option<(AccountId, String)>> {
        let root = &self.inner().root;
        let Some(bytes) = root.read_file(name, LIMIT)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let id = value(&text, "account").and_then(AccountId::parse).filter(|_| text.lines().next() == Some(HEAD));
        match id {
            Some(id) => Ok(Some((id, text))),
            None => Err(Error::new(Kind::LocalTree, "A maildrop's marker file is damaged or of a newer version")
                .hint("Update Mailtide, or put the file back from a backup.")
                .at(shown(&root.path().join(name)))),
        }
    }

    /// Which of these files, delivered once, are nowhere in the tree: not under their names in any mailbox, nor moved by a
    /// program that gives new ones, which their length and digest tell.
    ///
    /// Fails when any mailbox cannot be read: then nothing is known to be gone.
    pub fn gone_from_tree(&self, files: &BTreeMap<FileId, Digest>) -> Result<BTreeSet<FileId>> {
        let mut gone = files.clone();
        let mut others = Vec::new();
        for (mailbox, directory) in self.mailboxes()? {
            if let Directory::Unusable(why) | Directory::Incomplete(why) = directory {
                return Err(why);
            }
            let Scan::Listed(listing) = self.scan(&mailbox, None)? else { continue };
            for (id, file) in listing.files {
                match gone.remove(&id) {
                    Some(_) => {}
                    None => others.push((mailbox.clone(), file)),
                }
            }
        }
        for (mailbox, file) in others {
            if gone.is_empty() {
                break;
            }
            let octets = self.octets(&mailbox, &file)?;
            let as_long = |id: &FileId| name::delivered_sizes(id.as_os_str()).map(|(file, _)| file) == octets;
            if octets.is_none() || !gone.keys().any(as_long) {
                continue;
            }
            let Some(examined) = self.examine(&mailbox, &file)? else { continue };
            let found =
                gone.iter().find(|(_, digest)| **digest == examined.contents.whole.digest).map(|(id, _)| id.clone());
            found.map(|id| gone.remove(&id));
        }
        Ok(gone.into_keys().collect())
    }

    /// Reads files through that a scan listed and nobody remembers, and flushes them: whoever delivered them may not have.
    /// Without those that are gone meanwhile.
    pub fn recover(
        &self,
        mailbox: &MailboxName,
        files: &BTreeMap<FileId, ScannedFile>,
    ) -> Result<BTreeMap<FileId, Recovered>> {
        let relative = self.inner().layout.directory(mailbox)?;
        let boxes = Boxes::open(self.inner().root.descend(&relative)?)?;
        let read = |place: &Place| -> io::Result<Recovered> {
            let mut file = boxes.sub(place.sub).open_file(&place.name)?;
            flush(&file)?;
            let content = survey(&mut file, &place.name)?.0.whole;
            file.seek(SeekFrom::Start(0))?;
            let mut head = Vec::new();
            file.take(HEADER_MOST).read_to_end(&mut head)?;
            Ok(Recovered { content, header: HeaderHash::of(&head) })
        };
        let mut recovered = BTreeMap::new();
        for (id, file) in files {
            let place = file.place();
            match read(place) {
                Ok(found) => drop(recovered.insert(id.clone(), found)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(boxes.sub(place.sub).failed("read the message", &place.name, e)),
            }
        }
        [Sub::New, Sub::Cur].into_iter().try_for_each(|sub| boxes.sub(sub).sync())?;
        Ok(recovered)
    }

    /// A file's length; `None` when it is gone.
    fn octets(&self, mailbox: &MailboxName, file: &ScannedFile) -> Result<Option<u64>> {
        let relative = self.inner().layout.directory(mailbox)?;
        let boxes = Boxes::open(self.inner().root.descend(&relative)?)?;
        let place = file.place();
        match boxes.sub(place.sub).open_file(&place.name).and_then(|file| file.metadata()) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(boxes.sub(place.sub).failed("look at the message", &place.name, e)),
        }
    }
}

impl Folder {
    /// The accounts whose files are in this mailbox now, as the names tell.
    pub fn accounts(&self) -> Result<BTreeSet<AccountId>> {
        let settled = self.boxes.settle(now())?;
        let of = |spot: Spot<'_>| {
            let unique = name::unique(spot.name);
            let from_mailbox = name::origin(unique).map(|origin| origin.account);
            from_mailbox.or_else(|| name::maildrop_origin(unique).map(|(origin, _)| origin.account))
        };
        Ok(settled.places.iter().filter_map(of).collect())
    }

    /// Waits until no other maildrop's run is just delivering into this mailbox; the turn lasts as long as what comes back.
    ///
    /// Where the file system has no locks, nobody waits.
    pub fn turn(&self) -> Result<Turn> {
        // An opening of its own: the lock goes with the last handle of it.
        let name = OsStr::new(Sub::New.name());
        let dir = self.boxes.dir.open(name).map_err(|e| self.boxes.dir.failed("open the directory", name, e))?;
        match dir.lock() {
            Ok(()) => {}
            Err(e) => log::debug!("{}: no lock: {e}", shown(dir.path())),
        }
        Ok(Turn { _dir: dir })
    }
}

/// See [`Folder::turn`].
#[derive(Debug)]
pub struct Turn {
    _dir: Dir,
}

fn name_of(id: AccountId) -> String {
    format!("{PREFIX}{id}")
}

fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")).map(str::trim_end)
}

#[cfg(test)]
mod tests;
