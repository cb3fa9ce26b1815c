//! Connects in the way that was asked for.

use std::sync::Arc;

use crate::error::Error;
use crate::event::Observer;
use crate::fallback::{self, Carrier};
use crate::options::{Options, TransferMethod};
use crate::transport::connection::{Dialled, dial_agent};
use crate::transport::destination::{Destination, Remote};
use crate::transport::ssh;

/// Connects in the way that was asked for.
pub(super) fn dial(
    remote: &Remote,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Dialled, Error> {
    let Remote::Ssh(to) = remote else { return dial_agent(remote, options, observer) };
    let keepalive = ssh::keepalive(&options.ssh, to, options.timeout, &options.interrupt);
    let command = [&options.ssh[..], &keepalive].concat();
    ssh::overriding(&command, |ssh| dial_host(to, &Options { ssh, ..options.clone() }, observer))
}

fn dial_host(to: &Destination, options: &Options, observer: &Arc<dyn Observer>) -> Result<Dialled, Error> {
    let remote = &Remote::Ssh(to.clone());
    match options.method {
        TransferMethod::Delta => dial_agent(remote, options, observer),
        TransferMethod::Stream => fallback::dial(to, Carrier::Stream, options, observer),
        TransferMethod::Rsync => fallback::dial(to, Carrier::Rsync, options, observer),
        TransferMethod::Auto => match dial_agent(remote, options, observer) {
            Err(Error::NoAgent { host, reason }) => {
                fallback::fall_back(to, &host, &reason, options, observer)
            }
            other => other,
        },
    }
}
