//! Membership of a session in a group: it shares the cost account of the group, and counts as one
//! of its connections until it ends.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    limits::{Accounts, GroupKey, Groups, Limits, OverLimit, Rules},
    transport::Endpoint,
};

/// The groups of one server.
#[derive(Debug)]
pub(crate) struct InstalledGroups {
    groups: Groups,
    /// Locked when a connection opens or closes, and when cost is charged; never while user code
    /// runs.
    accounts: Mutex<Accounts>,
    since: Instant,
}

/// A group has reached its limit of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the group has {connections} connections, and may have {limit}")]
#[non_exhaustive]
pub struct GroupFull {
    /// The number of connections.
    pub connections: usize,
    /// The limit: [`Groups::connections`](crate::Groups::connections).
    pub limit: usize,
}

impl InstalledGroups {
    pub(crate) fn new(groups: Groups, limits: &Limits) -> Arc<Self> {
        let accounts = Mutex::new(Accounts::new(Rules::new(&groups, limits)));
        Arc::new(Self { groups, accounts, since: Instant::now() })
    }

    /// Counts a connecting peer in its group, unless the group is at its limit.
    pub(crate) fn admit(self: &Arc<Self>, peer: &Endpoint) -> Result<Membership, OverLimit> {
        let state = match self.groups.key(peer) {
            Some(key) => Some(self.lock().connect(key, self.at(Instant::now()))?),
            None => None,
        };
        Ok(Membership::new(self, state))
    }

    /// Counts a peer that the application attaches, whatever the limit.
    pub(crate) fn attach(self: &Arc<Self>, peer: &Endpoint) -> Membership {
        let key = self.groups.key(peer);
        let state = key.map(|key| self.lock().attach(key, self.at(Instant::now())));
        Membership::new(self, state)
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        // No code that can panic runs under the lock.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

/// Counts a session in its group, until it is dropped or leaves.
#[derive(Default)]
pub(crate) struct Membership(Option<Box<GroupMember>>);

struct GroupMember {
    groups: Arc<InstalledGroups>,
    state: Mutex<GroupState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupState {
    Member(GroupKey),
    /// In no group yet.
    None,
    /// The session has ended.
    Left,
}

impl Membership {
    fn new(groups: &Arc<InstalledGroups>, state: Option<GroupKey>) -> Self {
        let state = Mutex::new(state.map_or(GroupState::None, GroupState::Member));
        Self(Some(Box::new(GroupMember { groups: Arc::clone(groups), state })))
    }

    /// Charges the group. Returns its cost, 0 without a group.
    pub(crate) fn charge(&self, amount: f64, now: Instant) -> f64 {
        let Some(GroupMember { groups, state }) = self.0.as_deref() else { return 0.0 };
        match *lock(state) {
            GroupState::Member(key) => groups.lock().charge(key, amount, groups.at(now)),
            GroupState::None | GroupState::Left => 0.0,
        }
    }

    /// Whether this is the first time that the log is to have the delay of the group's requests.
    #[cfg(feature = "http")]
    pub(crate) fn is_first_logged(&self) -> bool {
        let Some(GroupMember { groups, state }) = self.0.as_deref() else { return false };
        match *lock(state) {
            GroupState::Member(key) => groups.lock().is_first_logged(key),
            GroupState::None | GroupState::Left => false,
        }
    }

    /// Whether there are groups. Without them, the clock need not be read.
    pub(crate) const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn join(&self, key: GroupKey) -> Result<(), GroupFull> {
        let Some(GroupMember { groups, state }) = self.0.as_deref() else { return Ok(()) };
        let mut state = lock(state);
        if matches!(*state, GroupState::Left) || *state == GroupState::Member(key) {
            return Ok(());
        }
        let mut accounts = groups.lock();
        let now = groups.at(Instant::now());
        let joined = match accounts.connect(key, now) {
            Ok(joined) => joined,
            // The session's loop handles the cost when it looks at it next.
            Err(OverLimit::Cost { .. }) => accounts.attach(key, now),
            Err(OverLimit::Connections { open, limit }) => {
                return Err(GroupFull { connections: open, limit });
            }
        };
        if let GroupState::Member(earlier) = std::mem::replace(&mut *state, GroupState::Member(joined)) {
            accounts.disconnect(earlier, now);
        }
        Ok(())
    }

    /// Leaves the group, as the session has ended.
    pub(super) fn leave(&self) {
        let Some(GroupMember { groups, state }) = self.0.as_deref() else { return };
        if let GroupState::Member(key) = std::mem::replace(&mut *lock(state), GroupState::Left) {
            groups.lock().disconnect(key, groups.at(Instant::now()));
        }
    }
}

fn lock(state: &Mutex<GroupState>) -> MutexGuard<'_, GroupState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Also without a session: creating its services may have panicked.
impl Drop for Membership {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_deref() {
            Some(member) => lock(&member.state).fmt(f),
            None => f.write_str("no groups"),
        }
    }
}
