//! How mailboxes are called: by the tree, which is what base, views and plan use, and by the server.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::ImapAccount;
use crate::error::{Error, Item, ItemFailure, Kind, Result};
use crate::mail::MailboxName;
use crate::remote::imap::{Listed, Listing, Names, WireName};

/// The server's mailboxes under the names the tree gives them.
#[derive(Debug)]
pub struct Directory<'a> {
    account: &'a ImapAccount,
    names: Names,
    /// What the server listed, selected mailboxes only, containers left out.
    pub mailboxes: BTreeMap<MailboxName, Listed>,
    /// Mailboxes that cannot be told apart or named.
    pub failures: Vec<ItemFailure>,
    /// The mailbox that deleted mail goes to.
    pub trash: Option<MailboxName>,
    /// Whether the listing had a line that nobody understands.
    garbled: bool,
    /// What the server lists as somebody else's, by the tree's names.
    foreign: BTreeSet<MailboxName>,
    /// What it lists and lets nobody select, by the tree's names.
    containers: BTreeSet<MailboxName>,
    /// What it lists and the run leaves out, by the tree's names.
    pub others: BTreeSet<MailboxName>,
    /// What the server still calls the mailboxes that are to have another name there, by their new ones.
    pub former: BTreeMap<MailboxName, WireName>,
}

impl<'a> Directory<'a> {
    /// Sorts a listing by the tree's names.
    pub fn new(account: &'a ImapAccount, listing: Listing) -> Self {
        let mut directory = Directory {
            account,
            names: listing.names,
            mailboxes: BTreeMap::new(),
            failures: Vec::new(),
            trash: account.trash.as_ref().map(|trash| account.rename.local(trash)),
            garbled: listing.garbled,
            foreign: listing.foreign.iter().map(|name| account.rename.local(name)).collect(),
            containers: BTreeSet::new(),
            others: BTreeSet::new(),
            former: BTreeMap::new(),
        };
        for (server, listed) in listing.mailboxes {
            directory.add(&server, listed);
        }
        for unusable in listing.unusable {
            log::warn!("the server lists a mailbox that has no usable name: {}", crate::error::safe_line(&unusable));
        }
        directory
    }

    fn add(&mut self, server: &MailboxName, listed: Listed) {
        let name = self.account.rename.local(server);
        if listed.special_use == Some(crate::remote::imap::SpecialUse::Trash) && self.trash.is_none() {
            self.trash = Some(name.clone());
        }
        if !self.account.mailboxes.selects(&name) {
            self.others.extend(listed.selectable.then_some(name));
            return;
        }
        if !listed.selectable {
            self.containers.insert(name);
            return;
        }
        if self.mailboxes.contains_key(&name) {
            let error =
                Error::new(Kind::Config, format!("The server's `{server}` is a second mailbox under this name"))
                    .hint("Give one of them another name with `rename`, or leave one out with `mailboxes`.");
            self.failures.push(ItemFailure::new(&name, Item::Mailbox, &error));
            return;
        }
        self.mailboxes.insert(name, listed);
    }

    /// Why a mailbox that was there, and is not listed, may still be there; `None` when it is gone. What the tree has not
    /// either (`is_here`) is gone where it is but a container.
    pub fn may_still_be(&self, name: &MailboxName, is_here: bool) -> Option<Error> {
        let what = if self.foreign.contains(name) {
            "The server now lists the mailbox as somebody else's"
        } else if *name == self.account.rename.local(&MailboxName::inbox()) {
            "The server does not list INBOX, which every account has"
        } else if is_here && self.containers.contains(name) && !self.mailboxes.keys().any(|other| other.is_below(name))
        {
            "The server lists the mailbox, with none below it, and lets nobody select it"
        } else if self.garbled {
            "The mailbox is missing in a listing of which a part cannot be understood"
        } else {
            return None;
        };
        let hint = "Nothing is concluded from that; `mailtide mailboxes` shows what the server lists. If its mail is gone \
                    there, delete the name there too, or leave it out with `mailboxes`.";
        Some(Error::new(Kind::Protocol, what).hint(hint))
    }

    /// Whether the server lists nothing at all.
    pub fn is_blank(&self) -> bool {
        self.mailboxes.is_empty() && self.others.is_empty()
    }

    /// Lets mailboxes go by other names; the server calls them as before until [`Directory::settle`].
    pub fn rename<'r>(&mut self, names: impl Iterator<Item = (&'r MailboxName, &'r MailboxName)> + Clone) {
        super::renames::rename(&mut self.mailboxes, names.clone());
        let former = names.filter_map(|(_, to)| Some((to.clone(), self.mailboxes.get(to)?.wire.clone())));
        self.former.extend(former);
    }

    /// From here on, [`Directory::wire`] gives the names that the server is to know renamed mailboxes by.
    pub fn settle(&mut self) -> Result<()> {
        for name in self.former.keys() {
            let wire = self.names.wire(&self.account.rename.server(name))?;
            self.mailboxes.get_mut(name).into_iter().for_each(|listed| listed.wire = wire.clone());
        }
        Ok(())
    }

    /// What the server calls the mailbox, existing or still to be made.
    pub fn wire(&self, name: &MailboxName) -> Result<WireName> {
        match self.mailboxes.get(name) {
            Some(listed) => Ok(listed.wire.clone()),
            None => self.names.wire(&self.account.rename.server(name)),
        }
    }
}
