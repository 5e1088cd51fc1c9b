//! How often a run has changed the account: the tree's marker counts alike.

use super::{State, fault};
use crate::error::Result;
use crate::mail::Generation;

impl State {
    /// As last recorded; 0 in the beginning.
    pub fn generation(&self) -> Result<Generation> {
        let read = || self.connection.query_row("SELECT generation FROM account", [], |row| row.get::<_, i64>(0));
        read().map(|n| Generation(n.cast_unsigned())).map_err(|e| self.fault(e))
    }

    /// Records it, once the tree's marker says so.
    pub fn set_generation(&mut self, generation: Generation) -> Result<()> {
        let write = || self.connection.execute("UPDATE account SET generation = ?1", [generation.0.cast_signed()]);
        fault::point().and_then(|()| write()).map(drop).map_err(|e| self.fault(e))
    }
}
