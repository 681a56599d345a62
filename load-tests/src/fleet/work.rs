//! A player's side: orders in, answers out.

use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender};

use super::wire::{Answer, Order};
use crate::player::Player;

/// Does what it is told until nobody tells it anything any more. Whoever asked is still answered behind a failure.
pub(super) async fn work(mut orders: Receiver<Order>, answers: Sender<Answer>) {
    let mut player: Option<Player> = None;
    while let Some(order) = orders.recv().await {
        let answer = match (order, &mut player) {
            (Order::Begin(setup), _) => match Player::new(*setup) {
                Ok(new) => {
                    player = Some(new);
                    Some(Answer::Begun)
                }
                Err(error) => Some(Answer::Failed(format!("{error:#}"))),
            },
            (_, None) => Some(Answer::Failed("it was told nothing yet".to_owned())),
            (Order::Play(part), Some(player)) => {
                player.play(part);
                None
            }
            (Order::Stop, Some(player)) => {
                player.stop();
                None
            }
            (Order::Settle, Some(player)) => {
                player.settle();
                None
            }
            (Order::Sample, Some(player)) => Some(Answer::Sample(Box::new(player.sample()))),
            (Order::Stand, Some(player)) => Some(Answer::Standing(player.standing())),
            (Order::Finish { patience_ms }, Some(player)) => {
                Some(match player.finish(Duration::from_millis(patience_ms)).await {
                    Ok(left) => Answer::Left(left),
                    Err(error) => Answer::Failed(format!("{error:#}")),
                })
            }
        };
        if let Some(answer) = answer
            && answers.send(answer).await.is_err()
        {
            return;
        }
    }
}
