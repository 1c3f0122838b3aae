//! What was asked for on the command line.

use std::time::Duration;

#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) duration: Duration,
    pub(crate) phase: Duration,
    pub(crate) friends: u64,
    pub(crate) broken: u64,
    pub(crate) hostile: u64,
    pub(crate) seed: u64,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            duration: Duration::from_secs(60),
            phase: Duration::from_secs(10),
            friends: 6,
            broken: 3,
            hostile: 4,
            seed: 1,
        };
        while let Some(option) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{option} needs a number behind it"))?;
            let value = value.parse().map_err(|_| format!("{option} needs a number, not {value:?}"))?;
            match option.as_str() {
                "--seconds" => options.duration = Duration::from_secs(value),
                "--phase" => options.phase = Duration::from_secs(value),
                "--friends" => options.friends = value,
                "--broken" => options.broken = value,
                "--hostile" => options.hostile = value,
                "--seed" => options.seed = value,
                _ => {
                    let known = "--seconds, --phase, --friends, --broken, --hostile and --seed";
                    return Err(format!("{option} is unknown: there are {known}"));
                }
            }
        }
        Ok(options)
    }
}
