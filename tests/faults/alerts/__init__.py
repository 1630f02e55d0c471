"""Faults while alerts begin, are told and end: what happened is compared afterwards with what should have.

timeline    when each service is to be in trouble (pure)   stream      events that make it so, minute by minute
plan        what goes wrong when (pure)                    faults      one function for each kind of fault
scene       servers, processes, and the other sides        people      acknowledgements and silences
trouble     what the other sides answer now and then       watch       what the tables said while it went on
ward, stage single episodes under a test's hands          inject      carries out a plan
run         one seed from beginning to verdict             records     what is left to be judged (pure)
read_*      records from tables, topic and the other sides     gather      all of them, or a service's
judge_*     history, topic, told, timeline: the records beside each other (pure)

`python -m tests.faults.alerts --help` is the command line.
"""
