package main

import "testing"

type busServer struct{}

func startBus(t *testing.T) busServer { return busServer{} }
func (busServer) url() string { return "mem:" }
func (busServer) kill() error { return nil }
func (busServer) restart() error { return nil }
func (busServer) freeze() error { return nil }
func (busServer) thaw() error { return nil }
func (busServer) command(...string) error { return nil }
