//! The group that a session belongs to: its account is charged with the session's, and counts it until it ends.

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
    /// Locked when somebody comes or goes, and when something is charged; never while code of the user's runs.
    accounts: Mutex<Accounts>,
    since: Instant,
}

/// A group has as many connections as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the group has {connections} connections, and may have {limit}")]
#[non_exhaustive]
pub struct GroupFull {
    /// How many it has.
    pub connections: usize,
    /// How many it may have: [`Groups::connections`](crate::Groups::connections).
    pub limit: usize,
}

impl InstalledGroups {
    pub(crate) fn new(groups: Groups, limits: &Limits) -> Arc<Self> {
        let accounts = Mutex::new(Accounts::new(Rules::new(&groups, limits)));
        Arc::new(Self { groups, accounts, since: Instant::now() })
    }

    /// Counts a peer that connects with its group, unless that has too many already.
    pub(crate) fn admit(self: &Arc<Self>, peer: &Endpoint) -> Result<Membership, OverLimit> {
        let state = match self.groups.key(peer) {
            Some(key) => Some(self.lock().connect(key, self.at(Instant::now()))?),
            None => None,
        };
        Ok(Membership::new(self, state))
    }

    /// The same for a peer that the application brings.
    pub(crate) fn attach(self: &Arc<Self>, peer: &Endpoint) -> Membership {
        let key = self.groups.key(peer);
        let state = key.map(|key| self.lock().attach(key, self.at(Instant::now())));
        Membership::new(self, state)
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        // Nothing that can panic runs under the lock.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

/// That a session is counted with its group. It is until this is dropped, or left.
#[derive(Default)]
pub(crate) struct Membership(Option<Box<GroupMember>>);

struct GroupMember {
    groups: Arc<InstalledGroups>,
    state: Mutex<GroupState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupState {
    Member(GroupKey),
    /// No group, as yet.
    None,
    /// The session has ended.
    Left,
}

impl Membership {
    fn new(groups: &Arc<InstalledGroups>, state: Option<GroupKey>) -> Self {
        let state = Mutex::new(state.map_or(GroupState::None, GroupState::Member));
        Self(Some(Box::new(GroupMember { groups: Arc::clone(groups), state })))
    }

    /// Charges the group, and gives what it costs: nothing where there is none.
    pub(crate) fn charge(&self, amount: f64, now: Instant) -> f64 {
        let Some(GroupMember { groups, state }) = self.0.as_deref() else { return 0.0 };
        match *lock(state) {
            GroupState::Member(key) => groups.lock().charge(key, amount, groups.at(now)),
            GroupState::None | GroupState::Left => 0.0,
        }
    }

    /// Whether it is for the first time that the log is to have it that the requests of the group are
    /// delayed.
    #[cfg(feature = "http")]
    pub(crate) fn is_first_logged(&self) -> bool {
        let Some(GroupMember { groups, state }) = self.0.as_deref() else { return false };
        match *lock(state) {
            GroupState::Member(key) => groups.lock().is_first_logged(key),
            GroupState::None | GroupState::Left => false,
        }
    }

    /// Whether there are groups: then it is worth reading the clock.
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
            // The cost is seen to by the session's loop, as ever.
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

    /// The session has ended: it counts no more.
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

/// Also where no session has come of it: what makes a service may have panicked.
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
