"""A ticket opens one console, once, within half a minute."""

import threading

import pytest

from consoles import tickets
from consoles.tickets import Ticket

pytestmark = pytest.mark.usefixtures("redis_tickets")
TICKET = Ticket(
    user_id=1,
    remote_address="192.0.2.7",
    session="",
    token_id=5,
    guest_id=12,
    host_uri="qemu:///system",
    domain_uuid="5f0c0d5e-0000-4000-8000-000000000001",
    kind="vnc",
    view_only=True,
)


def test_the_first_to_show_it_gets_what_was_put_in():
    assert tickets.redeem(tickets.issue(TICKET)) == TICKET


def test_the_second_gets_nothing():
    secret = tickets.issue(TICKET)
    tickets.redeem(secret)
    assert tickets.redeem(secret) is None


def test_of_many_who_show_it_at_once_one_gets_in():
    secret, let_in = tickets.issue(TICKET), []
    racers = [threading.Thread(target=lambda: let_in.append(tickets.redeem(secret))) for _ in range(12)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [ticket for ticket in let_in if ticket] == [TICKET]


def test_it_dies_by_itself_after_half_a_minute():
    secret = tickets.issue(TICKET)
    assert 0 < tickets._redis().ttl(tickets.PREFIX + secret) <= 30


@pytest.mark.parametrize("guess", ["", "*", "ticket:", "a" * 43, "ünïcode", "x\r\nFLUSHALL\r\n"])
def test_a_guess_opens_nothing(guess):
    tickets.issue(TICKET)
    assert tickets.redeem(guess) is None


def test_secrets_are_long_and_differ():
    secrets = {tickets.issue(TICKET) for _ in range(50)}
    assert len(secrets) == 50
    assert all(len(secret) >= 43 for secret in secrets)
