"""Faults while alerts begin, are told and end: what happened is compared afterwards with what should have.

timeline     when each service is to be in trouble (pure)
town         all services on that timeline        stream      events that make it so, minute by minute
plan         what goes wrong when (pure)          inject      carries it out
faults       one function for each kind           people      acknowledgements and silences
scene        servers, processes, other sides      trouble     what the other sides answer now and then
watch        what the tables said meanwhile       run         one seed from beginning to verdict
records      what is left to be judged (pure)     read_*      where it is read from, gather: all of it
judge_*      history, topic, told, timeline: the records beside each other (pure)
ward, stage  single episodes under a test's hands

`python -m tests.faults.alerts --help` is the command line.
"""
