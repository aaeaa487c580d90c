//! The way through a jump host: its channel is the next host's wire (`ProxyJump`).

use super::client::{Client, Dialing};
use super::error::TunnelError;
use super::prompt::plain;
use super::spec::HopSpec;
use russh::ChannelStream;
use russh::client::{Handle, Msg};

/// Has `jump` connect to `next`.
///
/// # Errors
/// `Jump`: it would not, could not, or did not in time.
pub(super) async fn through(
    dialing: &Dialing<'_>,
    jump: &Handle<Client>,
    jump_name: &str,
    next: &HopSpec,
) -> Result<ChannelStream<Msg>, TunnelError> {
    let limit = dialing.spec.connect_timeout;
    let refused = |reason: String| TunnelError::Jump {
        jump: jump_name.to_owned(),
        host: next.place(),
        reason,
    };
    // Address and port of the originator mean nothing here: OpenSSH sends the same.
    let open = jump.channel_open_direct_tcpip(
        next.host.as_str(),
        u32::from(next.port),
        "127.0.0.1",
        u32::from(super::spec::UNKNOWN_ORIGINATOR_PORT),
    );
    match tokio::time::timeout(limit, open).await {
        Ok(Ok(channel)) => Ok(channel.into_stream()),
        Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
            let words = dialing.link.take_words(&reason).await;
            Err(refused(super::forward::refusal(&reason, &words)))
        }
        Ok(Err(error)) => Err(refused(plain(&error.to_string()))),
        Err(_) => Err(refused(format!("no answer within {} s", limit.as_secs_f32()))),
    }
}
