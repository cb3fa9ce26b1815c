//! The cables between the two ends: how fast they are, and what they are called in the records.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use dsync_lab::{Host, Link};

use crate::Result;

/// A cable between source and target.
#[derive(Debug, PartialEq)]
pub(crate) struct Cable {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Megabits a second, each way; 0 is as fast as it goes.
    rate_mbit: f64,
    /// The round trip in milliseconds.
    rtt_ms: f64,
}

pub(crate) const LAN: &Cable =
    &Cable { name: "lan", title: "loopback, as fast as it goes", rate_mbit: 0.0, rtt_ms: 0.0 };
pub(crate) const WAN: &Cable =
    &Cable { name: "20M", title: "20 Mbit/s, 50 ms", rate_mbit: 20.0, rtt_ms: 50.0 };
const SLOW: &Cable = &Cable { name: "1M", title: "1 Mbit/s, 50 ms", rate_mbit: 1.0, rtt_ms: 50.0 };

/// All cables, the fastest first.
pub(crate) const CABLES: &[&Cable] = &[LAN, WAN, SLOW];

impl ValueEnum for &'static Cable {
    fn value_variants<'a>() -> &'a [Self] {
        CABLES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.title))
    }
}

impl Cable {
    /// The name by which ssh reaches a host over this cable.
    pub(crate) fn lay(&self, host: &Host) -> Result<String> {
        if self == LAN {
            return Ok(host.alias().to_owned());
        }
        let link = Link { rate_mbit: self.rate_mbit, rtt_ms: self.rtt_ms, ..Link::default() };
        Ok(host.link(&self.name.to_lowercase(), &link)?)
    }

    /// The number of runs worth their time, if `wanted` were asked for. On a slow cable the cable decides.
    pub(crate) fn runs(&self, wanted: usize) -> usize {
        if self == LAN { wanted } else { wanted.min(1) }
    }

    /// The least seconds that so many bytes take.
    pub(crate) fn seconds(&self, bytes: f64) -> f64 {
        if self.rate_mbit > 0.0 { bytes / (self.rate_mbit * 125_000.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time() {
        assert!((SLOW.seconds(125_000.0) - 1.0).abs() < 1e-9);
        assert!(LAN.seconds(1e12) < 1e-9);
        assert_eq!((LAN.runs(3), WAN.runs(3), WAN.runs(0)), (3, 1, 0));
    }
}
