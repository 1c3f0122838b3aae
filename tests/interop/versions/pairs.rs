//! Which versions can talk to which: the table that all tests here go through.

use rpc::Protocol;

use crate::python::Spoken;

/// Who calls, or who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    We,
    Python,
}

pub(super) const BOTH: [Side; 2] = [Side::We, Side::Python];

/// What two versions can do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Common {
    /// Everything that 2.0 has.
    V2,
    /// Everything that 1.0 has: calls by position and notifications, both ways; no names, no batches.
    V1,
    /// One side reads what the other answers in 1.0; its own answers of 2.0 are refused. So only it can call.
    Only(Side),
    /// Every call fails.
    Nothing,
}

use Common::{Nothing, Only};
const V1: Common = Common::V1;
const V2: Common = Common::V2;
const WE_CALL: Common = Only(Side::We);
const PYTHON_CALLS: Common = Only(Side::Python);

const SPOKEN: [Spoken; 4] = [Spoken::V1, Spoken::V2, Spoken::Loose, Spoken::AutoDetect];

/// We connect and speak first. The columns are [`SPOKEN`].
const WE_BEGIN: [(Protocol, [Common; 4]); 4] = [
    // aiorpcX detects "loose" in a request of 1.0, and answers it in 2.0.
    (Protocol::V1, [V1, Nothing, PYTHON_CALLS, PYTHON_CALLS]),
    (Protocol::V2, [Nothing, V2, V2, V2]),
    (Protocol::Loose, [WE_CALL, V2, V2, V2]),
    (Protocol::Detect, [V1, V2, V2, V2]),
];

/// Python connects and speaks first.
const PYTHON_BEGINS: [(Protocol, [Common; 4]); 4] = [
    (Protocol::V1, [V1, Nothing, PYTHON_CALLS, V1]),
    (Protocol::V2, [Nothing, V2, V2, V2]),
    (Protocol::Loose, [WE_CALL, V2, V2, V2]),
    (Protocol::Detect, [V1, V2, V2, V2]),
];

/// One cell of the tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) begins: Side,
    pub(super) ours: Protocol,
    pub(super) theirs: Spoken,
    pub(super) common: Common,
}

impl Pair {
    /// Whether calls of `side` succeed.
    pub(super) fn can_call(&self, side: Side) -> bool {
        match self.common {
            Common::V2 | Common::V1 => true,
            Only(one) => one == side,
            Nothing => false,
        }
    }

    /// Half of the table: enough where only what one side does is looked at. A process for each pair takes its time.
    pub(super) fn begun_by_us(&self) -> bool {
        self.begins == Side::We
    }

    /// The other half.
    pub(super) fn begun_by_python(&self) -> bool {
        self.begins == Side::Python
    }

    /// Whether both sides can do all that one of the versions has.
    pub(super) const fn talks(&self) -> bool {
        matches!(self.common, Common::V1 | Common::V2)
    }
}

pub(super) fn all() -> impl Iterator<Item = Pair> {
    [(Side::We, WE_BEGIN), (Side::Python, PYTHON_BEGINS)].into_iter().flat_map(|(begins, table)| {
        table.into_iter().flat_map(move |(ours, row)| {
            SPOKEN.into_iter().zip(row).map(move |(theirs, common)| Pair { begins, ours, theirs, common })
        })
    })
}

pub(super) fn that_talk() -> impl Iterator<Item = Pair> {
    all().filter(Pair::talks)
}

pub(super) fn that_speak_2_0() -> impl Iterator<Item = Pair> {
    all().filter(|pair| pair.common == Common::V2)
}

pub(super) fn that_speak_1_0() -> impl Iterator<Item = Pair> {
    all().filter(|pair| pair.common == Common::V1)
}
