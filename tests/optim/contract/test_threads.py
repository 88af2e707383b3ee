"""Trainings in several threads of one process take turns."""

import copy
import threading

import torch
from torch import nn

from .kinds import every_kind, flat, loss_of, make, network


@every_kind
def test_two_trainings_at_once_are_two_trainings(kind):
    def model():
        return network(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.0), nn.Linear(5, 3))

    def train(net):
        optimizer = make(kind, net.parameters(), rho=0.1, lr=0.1)
        for _ in range(15):
            optimizer.step(loss_of(net))

    truth = model()
    together = [copy.deepcopy(truth) for _ in range(2)]
    train(truth)
    threads = [threading.Thread(target=train, args=(net,)) for net in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for net in together:
        assert torch.equal(flat(net), flat(truth))
        assert all(map(torch.equal, net.buffers(), truth.buffers()))
