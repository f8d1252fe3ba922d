//! What threads do to a limiter at once, every way that loom finds.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use crate::limiter::{Asked, Limiter, Place, Ticket};
use crate::meters::Meters;
use crate::terms::Terms;
use crate::{ConcurrencyPolicy, Queue};

fn limiter(limit: u32, most_waiting: u32) -> Arc<Limiter> {
    let mut policy = ConcurrencyPolicy::fixed(NonZeroU32::new(limit).unwrap());
    if let Some(most) = NonZeroU32::new(most_waiting) {
        policy = policy.queue(Queue::new(most, Duration::from_secs(1)).unwrap());
    }
    Arc::new(Limiter::new(Arc::new(Terms::new(policy, Meters::new(&"races".into())))))
}

fn turn(ticket: &mut Ticket) -> Option<Place> {
    ticket.turn().try_recv().ok()
}

#[test]
fn one_place_is_taken_by_one() {
    loom::model(|| {
        let limiter = limiter(1, 0);
        let other = limiter.clone();
        let thread = thread::spawn(move || other.try_take());

        let mine = limiter.try_take();

        let theirs = thread.join().unwrap();
        assert!(mine.is_some() != theirs.is_some());
        drop((mine, theirs));
        assert_eq!((limiter.taken(), limiter.waiting()), (0, 0));
    });
}

#[test]
fn who_comes_while_a_place_is_freed_gets_it() {
    loom::model(|| {
        let limiter = limiter(1, 1);
        let place = limiter.try_take();
        let thread = thread::spawn(move || drop(place));

        let asked = limiter.ask();

        thread.join().unwrap();
        let place = match asked {
            Asked::Place(place) => Some(place),
            Asked::Ticket(mut ticket) => turn(&mut ticket),
            Asked::Full => None,
        };
        assert!(place.is_some());
        drop(place);
        assert_eq!((limiter.taken(), limiter.waiting()), (0, 0));
    });
}

#[test]
fn who_leaves_in_the_moment_of_its_turn_takes_no_place_along() {
    loom::model(|| {
        let limiter = limiter(1, 2);
        let place = limiter.try_take();
        let Asked::Ticket(first) = limiter.ask() else { panic!("it is full") };
        let Asked::Ticket(mut second) = limiter.ask() else { panic!("it is full") };
        let thread = thread::spawn(move || drop(place));

        drop(first);

        thread.join().unwrap();
        assert!(turn(&mut second).is_some());
        drop(second);
        assert_eq!((limiter.taken(), limiter.waiting()), (0, 0));
    });
}

#[test]
fn a_limit_that_goes_up_lets_in_who_waits_once() {
    loom::model(|| {
        let limiter = limiter(1, 1);
        let place = limiter.try_take();
        let Asked::Ticket(mut ticket) = limiter.ask() else { panic!("it is full") };
        let other = limiter.clone();
        let thread = thread::spawn(move || other.set_limit(2));

        drop(place);

        thread.join().unwrap();
        let place = turn(&mut ticket);
        assert!(place.is_some());
        assert_eq!((limiter.taken(), limiter.waiting()), (1, 0));
        drop(place);
    });
}
