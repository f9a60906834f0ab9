"""Tests of the live proxy."""
